package executionstore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a real server, which can be killed and started again at its address.
type server struct {
	address string
	args    []string
	process *exec.Cmd
	ended   chan struct{}
}

// serverCommand is what starts a server, without its options.
func serverCommand() ([]string, error) {
	if given := os.Getenv("EXECUTION_STORE_TEST_SERVER"); given != "" {
		var command []string
		if err := json.Unmarshal([]byte(given), &command); err != nil || len(command) == 0 {
			return nil, fmt.Errorf("EXECUTION_STORE_TEST_SERVER is no JSON array of strings")
		}
		return command, nil
	}
	main, err := filepath.Abs("../../dist/src/main.js")
	return []string{"node", main}, err
}

// freePort finds a port for what is ended and started again there. It is none of those that the system gives away by
// itself, which meanwhile might be somebody's connection's.
func freePort() (int, error) {
	for range 1000 {
		port := 20_000 + rand.IntN(12_000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// startServer starts a server on a store at any free port.
func startServer(store string, args ...string) (*server, error) {
	s := &server{args: append([]string{"serve", "--store", store, "--log-level", "info"}, args...)}
	port, err := freePort()
	if err != nil {
		return s, err
	}
	return s, s.start(fmt.Sprintf("127.0.0.1:%d", port))
}

func (s *server) start(listen string) error {
	command, err := serverCommand()
	if err != nil {
		return err
	}
	command = append(append(command, s.args...), "--listen", listen)
	process := exec.Command(command[0], command[1:]...)
	stderr, err := process.StderrPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	address := make(chan string, 1)
	ended := make(chan struct{})
	var log tail
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			log.add(lines.Text())
			var line struct {
				Msg       string
				Addresses []string
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				address <- line.Addresses[0]
			}
		}
		_, _ = io.Copy(io.Discard, stderr)
		_ = process.Wait()
	}()
	s.process, s.ended = process, ended
	select {
	case s.address = <-address:
		return nil
	case <-ended:
	case <-time.After(60 * time.Second):
		s.kill()
	}
	return fmt.Errorf("the server did not start: %s", log.text())
}

// kill ends the server with no chance to tidy up.
func (s *server) kill() {
	_ = s.process.Process.Kill()
	<-s.ended
}

// restart starts the server again, at its address, after its end.
func (s *server) restart() error { return s.start(s.address) }

// tail is the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-10):]
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// shared are the servers that all tests use: one on LMDB and, where there is a MongoDB, one on it.
var shared struct {
	lmdb, mongodb *server
}

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	directory, err := os.MkdirTemp("", "execution-store-go-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(directory)
	if shared.lmdb, err = startServer("lmdb:" + filepath.Join(directory, "db")); err != nil {
		return failed(err)
	}
	defer shared.lmdb.kill()
	if uri := os.Getenv("EXECUTION_STORE_TEST_MONGODB_URI"); uri != "" {
		database := newDatabase(uri)
		if shared.mongodb, err = startServer(database.uri); err != nil {
			return failed(err)
		}
		defer func() {
			shared.mongodb.kill()
			if err := database.drop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	// For the examples, which are written as a user would.
	if err := os.Setenv("EXECUTION_STORE_ADDRESS", shared.lmdb.address); err != nil {
		return failed(err)
	}
	return m.Run()
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// startOwn starts a server on LMDB for one test.
func startOwn(t *testing.T, args ...string) *server {
	t.Helper()
	s, err := startServer("lmdb:"+filepath.Join(t.TempDir(), "db"), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	return s
}

// startOwnOnMongoDB starts a server on a database of the tests' MongoDB for one test.
func startOwnOnMongoDB(t *testing.T) *server {
	t.Helper()
	uri := os.Getenv("EXECUTION_STORE_TEST_MONGODB_URI")
	if uri == "" {
		leaveOut(t, withoutMongoDB)
	}
	database := newDatabase(uri)
	s, err := startServer(database.uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if err := database.drop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const withoutMongoDB = "EXECUTION_STORE_TEST_MONGODB_URI is not set: no MongoDB to test with"

// onEachEngine runs a test against the server on LMDB and against that on MongoDB.
func onEachEngine(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("lmdb", func(t *testing.T) {
		t.Parallel()
		test(t, shared.lmdb.address)
	})
	t.Run("mongodb", func(t *testing.T) {
		if shared.mongodb == nil {
			leaveOut(t, withoutMongoDB)
		}
		t.Parallel()
		test(t, shared.mongodb.address)
	})
}

// leaveOut skips a test, or fails it where all are to run.
func leaveOut(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// testContext bounds a test, so that one that waits in vain says where.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// until polls until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
