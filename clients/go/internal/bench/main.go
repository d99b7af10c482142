// Command bench loads servers by the Go client, or by its generated stub alone, and is the empty server that the clients
// of all languages are measured with. It says on its standard error where it listens, and ends with its standard input.
//
//	bench echo PLAN   answers the bytes that the plan, a file of JSON, has for each method
//	bench load PLAN   makes the calls that a POST of JSON asks for
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("expected echo or load, and a plan")
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	switch args[0] {
	case "echo":
		return echo(args[1])
	case "load":
		return load(args[1])
	}
	return fmt.Errorf("%s is neither echo nor load", args[0])
}

func readPlan(file string, plan any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, plan)
}

// listen takes a free port and says so in the words of the measured server.
func listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(map[string]any{"msg": "serving", "addresses": []string{listener.Addr().String()}})
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, string(line))
	return listener, nil
}
