package executionstore

import (
	"reflect"
	"sync"
)

// wrappers are the types struct{ Value T } of documents by T.
var wrappers sync.Map

func wrapperOf(t reflect.Type) reflect.Type {
	if known, ok := wrappers.Load(t); ok {
		return known.(reflect.Type)
	}
	made := reflect.StructOf([]reflect.StructField{{Name: "Value", Type: t, Tag: `bson:"value"`}})
	wrappers.Store(t, made)
	return made
}

// jsonTags is what is known of types: whether values of a type may hold a struct with a json tag where there is no bson
// tag. The bson package respects these only with an encoder and a decoder that are about half as fast as its usual ones.
type jsonTags struct {
	// inInterfaces is what is taken to be in interfaces.
	inInterfaces bool
	known        sync.Map
}

var (
	// What is in an interface is known only when it is encoded; what is decoded into one is no struct.
	whenEncoded = jsonTags{inInterfaces: true}
	whenDecoded = jsonTags{inInterfaces: false}
)

func encodesJSONTags(t reflect.Type) bool { return t != nil && whenEncoded.areIn(t) }

func decodesJSONTags(t reflect.Type) bool { return whenDecoded.areIn(t) }

func (j *jsonTags) areIn(t reflect.Type) bool {
	if known, ok := j.known.Load(t); ok {
		return known.(bool)
	}
	found := j.find(t, map[reflect.Type]bool{})
	j.known.Store(t, found)
	return found
}

func (j *jsonTags) find(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return j.inInterfaces
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return j.find(t.Elem(), seen)
	case reflect.Struct:
		for index := range t.NumField() {
			field := t.Field(index)
			_, hasJSON := field.Tag.Lookup("json")
			_, hasBSON := field.Tag.Lookup("bson")
			if hasJSON && !hasBSON || j.find(field.Type, seen) {
				return true
			}
		}
	}
	return false
}
