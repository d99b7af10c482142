// Command crosslanguage writes values in Go's own types, or reads what other clients wrote, and reports on it: the Go
// side of a test in which every client reads every other one's values.
//
//	crosslanguage bson|json write ADDRESS STORE
//	crosslanguage bson|json read ADDRESS STORE...
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	executionstore "github.com/execution-store/execution-store/clients/go"
	"github.com/execution-store/execution-store/clients/go/internal/neutral"
)

type natives map[string][]any

type object struct {
	B innerObject `json:"b"`
}

type innerObject struct {
	A bool `json:"a"`
}

// asBSON is what Go has for each value of values.json.
func asBSON() natives {
	date := time.Date(2030, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	id, _ := bson.ObjectIDFromHex("65f0c1d2e3a4b5c6d7e8f901")
	decimal, _ := bson.ParseDecimal128("0.10")
	uuid := make([]byte, 16)
	for index := range uuid {
		uuid[index] = byte(index)
	}
	return natives{
		"null":              {nil},
		"boolean":           {true},
		"int32":             {5, int32(5), int16(5), uint8(5)},
		"int64":             {1 << 40, int64(1 << 40)},
		"int64 beyond 2^53": {math.MaxInt64, int64(math.MaxInt64)},
		"double":            {0.5, float32(0.5)},
		"whole double":      {1.0},
		"NaN":               {math.NaN()},
		"string":            {"a\x00ß€😀"},
		"date":              {date, bson.NewDateTimeFromTime(date)},
		"binary":            {[]byte{0, 255}, bson.Binary{Data: []byte{0, 255}}},
		"uuid":              {bson.Binary{Subtype: bson.TypeBinaryUUID, Data: uuid}},
		"array":             {[]any{1, "a", nil}, bson.A{1, "a", nil}},
		"object":            {bson.D{{Key: "b", Value: bson.M{"a": true}}}, object{B: innerObject{A: true}}},
		"objectid":          {id},
		"decimal128":        {decimal},
		"regex":             {bson.Regex{Pattern: "^a", Options: "i"}},
		"timestamp":         {bson.Timestamp{T: 1, I: 2}},
		"code":              {bson.JavaScript("f()")},
		"minkey":            {bson.MinKey{}},
		"maxkey":            {bson.MaxKey{}},
	}
}

// asJSON is what encoding/json has for them.
func asJSON() natives {
	return natives{
		"null":              {nil},
		"boolean":           {true},
		"int32":             {5, uint8(5)},
		"int64":             {1 << 40},
		"int64 beyond 2^53": {math.MaxInt64},
		"double":            {0.5},
		"whole double":      {1.0},
		"string":            {"a\x00ß€😀"},
		"array":             {[]any{1, "a", nil}},
		"object":            {map[string]any{"b": map[string]any{"a": true}}, object{B: innerObject{A: true}}},
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 5 {
		log.Fatal("usage: crosslanguage bson|json write|read ADDRESS STORE...")
	}
	encoding, values := executionstore.EncodingBSON, asBSON()
	if os.Args[1] == "json" {
		encoding, values = executionstore.EncodingJSON, asJSON()
	}
	client, err := executionstore.New(executionstore.WithAddress(os.Args[3]), executionstore.WithEncoding(encoding))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	var report any
	if os.Args[2] == "write" {
		report, err = write(client.Service(), os.Args[4], values)
	} else {
		report, err = readAll(client.Service(), os.Args[4:])
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		log.Fatal(err)
	}
}

func write(service *executionstore.Service, store string, values natives) (map[string]string, error) {
	written := map[string]string{}
	for name, each := range values {
		for index, native := range each {
			key := name
			if index > 0 {
				key = fmt.Sprintf("%s/%d", name, index)
			}
			if _, err := service.SetKey(context.Background(), store, key, native); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			written[key] = typeName(native)
		}
	}
	return written, nil
}

type found struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

func readAll(service *executionstore.Service, stores []string) (map[string]map[string]found, error) {
	all := map[string]map[string]found{}
	for _, store := range stores {
		all[store] = map[string]found{}
		for document, err := range service.Values(context.Background(), store) {
			if err != nil {
				return nil, err
			}
			var value any
			if err := document.Decode(&value); err != nil {
				return nil, fmt.Errorf("%s of %s: %w", document.Key, store, err)
			}
			text, err := neutral.JSON(neutral.FromNative(value))
			if err != nil {
				return nil, err
			}
			all[store][document.Key] = found{typeName(value), text}
		}
	}
	return all, nil
}

func typeName(value any) string {
	if value == nil {
		return "nil"
	}
	name := strings.ReplaceAll(fmt.Sprintf("%T", value), "interface {}", "any")
	name = strings.ReplaceAll(name, "[]uint8", "[]byte")
	if strings.HasPrefix(name, "main.") {
		return "struct"
	}
	return name
}
