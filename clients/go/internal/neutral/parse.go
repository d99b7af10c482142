// Package neutral reads and writes values in the notation of the scenarios that all clients are tested with: canonical
// Extended JSON, with plain JSON for what needs no type.
package neutral

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Parse reads JSON. Objects come as bson.D, since the order of fields counts; numbers as json.Number.
func Parse(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return parse(decoder)
}

func parse(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			item, err := parse(decoder)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		_, err := decoder.Token()
		return list, err
	case json.Delim('{'):
		object := bson.D{}
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			member, err := parse(decoder)
			if err != nil {
				return nil, err
			}
			object = append(object, bson.E{Key: name.(string), Value: member})
		}
		_, err := decoder.Token()
		return object, err
	}
	return token, nil
}

// JSON writes what Parse reads.
func JSON(node any) ([]byte, error) {
	switch node := node.(type) {
	case []any:
		return brackets('[', ']', node, JSON)
	case bson.D:
		return brackets('{', '}', node, func(member bson.E) ([]byte, error) {
			name, err := json.Marshal(member.Key)
			if err != nil {
				return nil, err
			}
			value, err := JSON(member.Value)
			return append(append(name, ':'), value...), err
		})
	}
	return json.Marshal(node)
}

func brackets[T any](begin, end byte, items []T, write func(T) ([]byte, error)) ([]byte, error) {
	text := []byte{begin}
	for index, item := range items {
		if index > 0 {
			text = append(text, ',')
		}
		written, err := write(item)
		if err != nil {
			return nil, err
		}
		text = append(text, written...)
	}
	return append(text, end), nil
}

// Get gives the member of an object; nil if it has none of that name.
func Get(object any, name string) any {
	member, _ := Find(object, name)
	return member
}

// Find gives the member of an object, and whether it has one of that name.
func Find(object any, name string) (any, bool) {
	members, _ := object.(bson.D)
	for _, member := range members {
		if member.Key == name {
			return member.Value, true
		}
	}
	return nil, false
}

// Text gives what must be a string.
func Text(node any) string {
	text, ok := node.(string)
	if !ok {
		panic(fmt.Sprintf("a scenario has a %T where a text belongs", node))
	}
	return text
}
