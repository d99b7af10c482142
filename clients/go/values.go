package executionstore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"
)

// Encoding is the form in which a value travels.
type Encoding int

const (
	// EncodingBSON is exact in every type, and the fastest.
	EncodingBSON Encoding = iota
	// EncodingJSON passes values through encoding/json, with its rules: json tags, time.Time and []byte as strings. Whole
	// numbers are stored as integers, as with BSON; those beyond 2^53 travel as {"$numberLong": …}. What is stored in a
	// type that JSON has no form for comes in the single-key forms of relaxed Extended JSON, such as {"$date": …}, and
	// a number decoded into an any comes as json.Number, so that none loses a digit. At most 30 levels.
	EncodingJSON
	// EncodingNone leaves values out of what is read, and spares their transport. Of what is set, it is refused.
	EncodingNone
)

// RawValue is a value as the bytes that are stored: a BSON document with the one field "value". Every method that writes
// takes it, and [KeyDocument.Raw] gives it. The bytes are neither copied nor checked here; the server checks them.
type RawValue []byte

// Decode decodes the value into what target points to, as [KeyDocument.Decode].
func (v RawValue) Decode(target any) error { return decodeBSON(v, target) }

// valueFields gives the two fields of a request of which one holds the value.
func valueFields(value any, encoding Encoding, field string) ([]byte, *structpb.Value, error) {
	raw, isRaw := value.(RawValue)
	if isRaw && raw == nil {
		return nil, nil, invalidField("VALUE_MISSING", field, "is a RawValue without bytes; give one with a value")
	}
	switch {
	case isRaw:
		return checkedSize(raw, field)
	case encoding == EncodingBSON:
		encoded, err := encodeBSON(value, field)
		if err != nil {
			return nil, nil, err
		}
		return checkedSize(encoded, field)
	case encoding == EncodingJSON:
		encoded, err := encodeJSON(value, field, ReasonValueInvalid)
		return nil, encoded, err
	}
	return nil, nil, invalidField("ENCODING_INVALID", field,
		"cannot be set without a form; expected EncodingBSON or EncodingJSON")
}

func checkedSize(encoded []byte, field string) ([]byte, *structpb.Value, error) {
	if len(encoded) > maxValueBytes {
		return nil, nil, &Error{
			Code: codes.ResourceExhausted, Reason: ReasonValueTooLarge,
			Message: fmt.Sprintf("%s takes %d bytes as BSON; expected at most %d, so split it over several keys",
				field, len(encoded), maxValueBytes),
		}
	}
	return encoded, nil, nil
}

// Of the BSON document {"value": …}: the length and the end around it, and the field's name with its NUL.
const (
	bsonFrame = 4 + 1
	valueName = "value\x00"
)

// bsonHeader begins the document of a value whose own bytes are so many.
func bsonHeader(kind bson.Type, size int) []byte {
	total := bsonFrame + 1 + len(valueName) + size
	encoded := make([]byte, 0, total)
	encoded = binary.LittleEndian.AppendUint32(encoded, uint32(total))
	encoded = append(encoded, byte(kind))
	return append(encoded, valueName...)
}

// encodeBSON makes the document of a value. The commonest types need no reflection.
func encodeBSON(value any, field string) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return append(bsonHeader(bson.TypeNull, 0), 0), nil
	case bool:
		one := byte(0)
		if value {
			one = 1
		}
		return append(bsonHeader(bson.TypeBoolean, 1), one, 0), nil
	case int:
		if value >= math.MinInt32 && value <= math.MaxInt32 {
			encoded := binary.LittleEndian.AppendUint32(bsonHeader(bson.TypeInt32, 4), uint32(int32(value)))
			return append(encoded, 0), nil
		}
		return encodeInt64(int64(value)), nil
	case int64:
		return encodeInt64(value), nil
	case float64:
		encoded := binary.LittleEndian.AppendUint64(bsonHeader(bson.TypeDouble, 8), math.Float64bits(value))
		return append(encoded, 0), nil
	case string:
		encoded := binary.LittleEndian.AppendUint32(bsonHeader(bson.TypeString, 5+len(value)), uint32(len(value)+1))
		return append(append(encoded, value...), 0, 0), nil
	case []byte:
		if value == nil {
			return append(bsonHeader(bson.TypeNull, 0), 0), nil
		}
		encoded := binary.LittleEndian.AppendUint32(bsonHeader(bson.TypeBinary, 5+len(value)), uint32(len(value)))
		encoded = append(encoded, bson.TypeBinaryGeneric)
		return append(append(encoded, value...), 0), nil
	}
	var encoded []byte
	var err error
	if encodesJSONTags(reflect.TypeOf(value)) {
		var buffer bytes.Buffer
		encoder := bson.NewEncoder(bson.NewDocumentWriter(&buffer))
		encoder.UseJSONStructTags()
		err = encoder.Encode(valueDocument{value})
		encoded = buffer.Bytes()
	} else {
		encoded, err = bson.Marshal(valueDocument{value})
	}
	if err != nil {
		problem := invalidField(ReasonValueInvalid, field, "cannot be encoded as BSON; see the error that this one wraps")
		problem.cause = err
		return nil, problem
	}
	return encoded, nil
}

type valueDocument struct {
	Value any `bson:"value"`
}

func encodeInt64(value int64) []byte {
	return append(binary.LittleEndian.AppendUint64(bsonHeader(bson.TypeInt64, 8), uint64(value)), 0)
}

// valueStart is where the value's own bytes begin in its document.
const valueStart = 4 + 1 + len(valueName)

// readers are buffers of the bson package's slower decoder, the only one that knows json tags.
var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// valueAs is the document of a value as a T.
type valueAs[T any] struct {
	Value T `bson:"value"`
}

// decodeAs decodes the value of one of the two forms that it may have come in; key is for the message if it has neither.
func decodeAs[T any](encoded []byte, asJSON *structpb.Value, key string) (T, error) {
	return new(valueAs[T]).decode(encoded, asJSON, key)
}

// decode is decodeAs, for one value after the other with the same memory.
func (v *valueAs[T]) decode(encoded []byte, asJSON *structpb.Value, key string) (T, error) {
	var none T
	v.Value = none
	var err error
	switch {
	case encoded != nil:
		err = decodeInto(encoded, &v.Value, v)
	case asJSON != nil:
		err = decodeJSON(asJSON, &v.Value)
	default:
		err = noValueError(key)
	}
	if err != nil {
		return none, err
	}
	return v.Value, nil
}

// decodeBSON decodes the document of a value into what target points to.
func decodeBSON(encoded []byte, target any) error { return decodeInto(encoded, target, nil) }

// decodeInto is decodeBSON that needs no reflection for the commonest types, and for others less with a document that
// points to a valueAs whose Value is what target points to.
func decodeInto(encoded []byte, target, document any) error {
	if raw, ok := target.(*RawValue); ok {
		*raw = RawValue(encoded)
		return nil
	}
	if len(encoded) < valueStart+1 || string(encoded[5:valueStart]) != valueName {
		return brokenAnswer("holds a value that is no BSON document with the one field value")
	}
	kind, value := bson.Type(encoded[4]), encoded[valueStart:len(encoded)-1]
	if decodeSimple(kind, value, target) {
		return nil
	}
	pointer := reflect.ValueOf(target)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return invalidField(ReasonClientOptionInvalid, "target", "is no pointer; expected one to what the value is decoded into")
	}
	t := pointer.Type().Elem()
	// As a document, since the bson package keeps what it decodes documents with, but not what it decodes values with.
	var wrapper reflect.Value
	if document == nil {
		wrapper = reflect.New(wrapperOf(t))
		document = wrapper.Interface()
	}
	var err error
	if decodesJSONTags(t) {
		reader := readers.Get().(*bufio.Reader)
		defer readers.Put(reader)
		reader.Reset(bytes.NewReader(encoded))
		decoder := bson.NewDecoder(bson.NewDocumentReader(reader))
		decoder.UseJSONStructTags()
		err = decoder.Decode(document)
	} else {
		err = bson.Unmarshal(encoded, document)
	}
	if err != nil {
		return misfit(t, err)
	}
	if wrapper.IsValid() {
		pointer.Elem().Set(wrapper.Elem().Field(0))
	}
	return nil
}

// decodeSimple decodes where the target's type is the value's own.
func decodeSimple(kind bson.Type, value []byte, target any) bool {
	switch target := target.(type) {
	case *string:
		if kind == bson.TypeString && len(value) >= 5 && int(binary.LittleEndian.Uint32(value)) == len(value)-4 {
			*target = string(value[4 : len(value)-1])
			return true
		}
	case *int:
		if n, ok := wholeNumber(kind, value); ok && int64(int(n)) == n {
			*target = int(n)
			return true
		}
	case *int64:
		if n, ok := wholeNumber(kind, value); ok {
			*target = n
			return true
		}
	case *float64:
		if kind == bson.TypeDouble && len(value) == 8 {
			*target = math.Float64frombits(binary.LittleEndian.Uint64(value))
			return true
		}
	case *bool:
		if kind == bson.TypeBoolean && len(value) == 1 {
			*target = value[0] == 1
			return true
		}
	case *[]byte:
		if kind == bson.TypeBinary && len(value) >= 5 && value[4] == bson.TypeBinaryGeneric &&
			int(binary.LittleEndian.Uint32(value)) == len(value)-5 {
			*target = append([]byte{}, value[5:]...)
			return true
		}
	}
	return false
}

func wholeNumber(kind bson.Type, value []byte) (int64, bool) {
	switch {
	case kind == bson.TypeInt32 && len(value) == 4:
		return int64(int32(binary.LittleEndian.Uint32(value))), true
	case kind == bson.TypeInt64 && len(value) == 8:
		return int64(binary.LittleEndian.Uint64(value)), true
	}
	return 0, false
}

// misfit is about a value that cannot be decoded into a type; the cause may tell of the value, the message does not.
func misfit(t reflect.Type, cause error) *Error {
	where := "value"
	var deep *bson.DecodeError
	if errors.As(cause, &deep) {
		where = strings.Join(deep.Keys(), ".")
	}
	problem := invalidField(ReasonValueInvalid, where,
		"cannot be decoded into "+t.String()+"; expected a value that fits, see the error that this one wraps")
	problem.cause = cause
	return problem
}

func noValueError(key string) *Error {
	return &Error{
		Code: codes.FailedPrecondition, Reason: "FAILED_PRECONDITION",
		Message: fmt.Sprintf("the document of key %q came without its value; read the key with EncodingBSON or EncodingJSON", key),
	}
}
