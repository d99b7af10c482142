package executionstore

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// numberLong is the form of whole numbers that a double does not hold.
const numberLong = "$numberLong"

// maxExact is the largest whole number up to which a double holds all of them.
const maxExact = 1 << 53

// encodeJSON makes the JSON of a value, as encoding/json would.
func encodeJSON(value any, field string, reason Reason) (*structpb.Value, error) {
	text, err := json.Marshal(value)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var plain any
		if err = decoder.Decode(&plain); err == nil {
			var encoded *structpb.Value
			if encoded, err = toWireJSON(plain); err == nil {
				return encoded, nil
			}
		}
	}
	problem := invalidField(reason, field, "cannot be encoded as JSON; see the error that this one wraps")
	problem.cause = err
	return nil, problem
}

// toWireJSON converts what encoding/json decoded with numbers as they are written.
func toWireJSON(plain any) (*structpb.Value, error) {
	switch plain := plain.(type) {
	case json.Number:
		return toWireNumber(plain)
	case []any:
		list := &structpb.ListValue{Values: make([]*structpb.Value, len(plain))}
		for index, element := range plain {
			converted, err := toWireJSON(element)
			if err != nil {
				return nil, err
			}
			list.Values[index] = converted
		}
		return structpb.NewListValue(list), nil
	case map[string]any:
		object := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(plain))}
		for name, element := range plain {
			converted, err := toWireJSON(element)
			if err != nil {
				return nil, err
			}
			object.Fields[name] = converted
		}
		return structpb.NewStructValue(object), nil
	}
	return structpb.NewValue(plain)
}

func toWireNumber(number json.Number) (*structpb.Value, error) {
	whole, err := strconv.ParseInt(number.String(), 10, 64)
	if err == nil && (whole > maxExact || whole < -maxExact) {
		return structpb.NewStructValue(&structpb.Struct{
			Fields: map[string]*structpb.Value{numberLong: structpb.NewStringValue(number.String())},
		}), nil
	}
	if numError, ok := err.(*strconv.NumError); ok && numError.Err == strconv.ErrRange {
		// A whole number beyond 64 bits: as a double it would be another one, unless it was written from that double.
		double, err := number.Float64()
		if err != nil || strconv.FormatFloat(double, 'f', -1, 64) != number.String() {
			return nil, strconv.ErrRange
		}
		return structpb.NewNumberValue(double), nil
	}
	double, err := number.Float64()
	if err != nil {
		return nil, err
	}
	return structpb.NewNumberValue(double), nil
}

// decodeJSON decodes a value that came as JSON, as encoding/json would.
func decodeJSON(encoded *structpb.Value, target any) error {
	pointer := reflect.ValueOf(target)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return invalidField(ReasonClientOptionInvalid, "target", "is no pointer; expected one to what the value is decoded into")
	}
	if _, isRaw := target.(*RawValue); isRaw {
		problem := misfit(pointer.Type().Elem(), nil)
		problem.Message = "value came as JSON, which has no bytes for a RawValue; read it with EncodingBSON"
		return problem
	}
	text, err := json.Marshal(fromWireJSON(encoded))
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err = decoder.Decode(target); err == nil {
			return nil
		}
	}
	return misfit(pointer.Type().Elem(), err)
}

// fromWireJSON gives what json.Marshal makes the value's JSON of.
func fromWireJSON(encoded *structpb.Value) any {
	switch kind := encoded.GetKind().(type) {
	case *structpb.Value_NumberValue:
		return fromWireNumber(kind.NumberValue)
	case *structpb.Value_StringValue:
		return kind.StringValue
	case *structpb.Value_BoolValue:
		return kind.BoolValue
	case *structpb.Value_ListValue:
		list := make([]any, len(kind.ListValue.GetValues()))
		for index, element := range kind.ListValue.GetValues() {
			list[index] = fromWireJSON(element)
		}
		return list
	case *structpb.Value_StructValue:
		fields := kind.StructValue.GetFields()
		if long, ok := fields[numberLong].GetKind().(*structpb.Value_StringValue); ok && len(fields) == 1 {
			if _, err := strconv.ParseInt(long.StringValue, 10, 64); err == nil {
				return json.Number(long.StringValue)
			}
		}
		object := make(map[string]any, len(fields))
		for name, element := range fields {
			object[name] = fromWireJSON(element)
		}
		return object
	}
	return nil
}

// fromWireNumber writes whole numbers as such, so that they decode into integers.
func fromWireNumber(number float64) json.Number {
	if number == math.Trunc(number) && math.Abs(number) < 1<<63 {
		return json.Number(strconv.FormatFloat(number, 'f', -1, 64))
	}
	return json.Number(strconv.FormatFloat(number, 'g', -1, 64))
}

// jsonBytes is the size of a value on the wire.
func jsonBytes(value *structpb.Value) int { return proto.Size(value) }
