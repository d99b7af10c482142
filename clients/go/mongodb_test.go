package executionstore_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// database is one of the tests' own in a MongoDB.
type database struct {
	name string
	// uri is for a server, host for commands.
	uri, host string
}

// newDatabase names a database; uri is that of a member of a replica set, without a database.
func newDatabase(uri string) database {
	parsed, err := url.Parse(uri)
	if err != nil {
		panic(err)
	}
	name := fmt.Sprintf("execution_store_test_%016x", rand.Uint64())
	host := parsed.Host
	parsed.Path = "/" + name
	return database{name: name, uri: parsed.String(), host: strings.Split(host, ",")[0]}
}

func (d database) drop() error {
	return d.command(bson.D{{Key: "dropDatabase", Value: 1}})
}

// command runs a command, by the one message that MongoDB's protocol takes: the driver is no dependency of this module.
func (d database) command(command bson.D) error {
	body, err := bson.Marshal(append(command, bson.E{Key: "$db", Value: d.name}))
	if err != nil {
		return err
	}
	connection, err := net.DialTimeout("tcp", d.host, 10*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	const opMsg, headerBytes = 2013, 16
	message := make([]byte, 0, headerBytes+5+len(body))
	for _, field := range []uint32{uint32(headerBytes + 5 + len(body)), 1, 0, opMsg, 0} {
		message = binary.LittleEndian.AppendUint32(message, field)
	}
	message = append(append(message, 0), body...)
	if _, err := connection.Write(message); err != nil {
		return err
	}
	header := make([]byte, headerBytes)
	if _, err := io.ReadFull(connection, header); err != nil {
		return err
	}
	answer := make([]byte, binary.LittleEndian.Uint32(header)-headerBytes)
	if _, err := io.ReadFull(connection, answer); err != nil {
		return err
	}
	if ok := bson.Raw(answer[5:]).Lookup("ok"); ok.AsFloat64() != 1 {
		return fmt.Errorf("a command failed on the tests' MongoDB: %s", bson.Raw(answer[5:]).Lookup("errmsg"))
	}
	return nil
}
