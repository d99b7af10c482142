package neutral

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	executionstore "github.com/execution-store/execution-store/clients/go"
)

// ToNative gives the Go value that a neutral one stands for: that which is stored in exactly this type.
func ToNative(node any) (any, error) {
	switch node := node.(type) {
	case json.Number:
		return number(node)
	case []any:
		list := make([]any, len(node))
		for index, item := range node {
			native, err := ToNative(item)
			if err != nil {
				return nil, err
			}
			list[index] = native
		}
		return list, nil
	case bson.D:
		if native, ok, err := fromForm(node); ok || err != nil {
			return native, err
		}
		object := make(bson.D, len(node))
		for index, member := range node {
			native, err := ToNative(member.Value)
			if err != nil {
				return nil, err
			}
			object[index] = bson.E{Key: member.Key, Value: native}
		}
		return object, nil
	}
	return node, nil
}

func number(text json.Number) (any, error) {
	if whole, err := text.Int64(); err == nil {
		if whole >= math.MinInt32 && whole <= math.MaxInt32 {
			return int32(whole), nil
		}
		return whole, nil
	}
	return text.Float64()
}

// fromForm reads a form of Extended JSON; false if the object is none.
func fromForm(object bson.D) (any, bool, error) {
	if len(object) == 0 {
		return nil, false, nil
	}
	body := object[0].Value
	switch object[0].Key {
	case "$numberInt":
		whole, err := strconv.ParseInt(Text(body), 10, 32)
		return int32(whole), true, err
	case "$numberLong":
		whole, err := strconv.ParseInt(Text(body), 10, 64)
		return whole, true, err
	case "$numberDouble":
		double, err := strconv.ParseFloat(Text(body), 64)
		if math.IsNaN(double) {
			// Go's own has other bits than every other language's.
			double = math.Float64frombits(0x7ff8000000000000)
		}
		return double, true, err
	case "$numberDecimal":
		decimal, err := bson.ParseDecimal128(Text(body))
		return decimal, true, err
	case "$date":
		milliseconds, err := strconv.ParseInt(Text(Get(body, "$numberLong")), 10, 64)
		return time.UnixMilli(milliseconds).UTC(), true, err
	case "$oid":
		id, err := bson.ObjectIDFromHex(Text(body))
		return id, true, err
	case "$binary":
		return binaryFrom(body)
	case "$regularExpression":
		return bson.Regex{Pattern: Text(Get(body, "pattern")), Options: Text(Get(body, "options"))}, true, nil
	case "$timestamp":
		return bson.Timestamp{T: uint32(whole(Get(body, "t"))), I: uint32(whole(Get(body, "i")))}, true, nil
	case "$code":
		return bson.JavaScript(Text(body)), true, nil
	case "$minKey":
		return bson.MinKey{}, true, nil
	case "$maxKey":
		return bson.MaxKey{}, true, nil
	case "$bson":
		encoded, err := hex.DecodeString(Text(body))
		return executionstore.RawValue(encoded), true, err
	}
	return nil, false, nil
}

func binaryFrom(body any) (any, bool, error) {
	data, err := base64.StdEncoding.DecodeString(Text(Get(body, "base64")))
	if err != nil {
		return nil, true, err
	}
	subtype, err := strconv.ParseUint(Text(Get(body, "subType")), 16, 8)
	if subtype == uint64(bson.TypeBinaryGeneric) {
		return data, true, err
	}
	return bson.Binary{Subtype: byte(subtype), Data: data}, true, err
}

func whole(node any) int64 {
	number, _ := node.(json.Number)
	whole, err := number.Int64()
	if err != nil {
		panic(err)
	}
	return whole
}

// FromNative gives the neutral form of a value that was read, decoded into an any.
func FromNative(value any) any {
	switch value := value.(type) {
	case nil, bool, string:
		return value
	case int32:
		return form("$numberInt", strconv.FormatInt(int64(value), 10))
	case int64:
		return form("$numberLong", strconv.FormatInt(value, 10))
	case json.Number:
		// A number beyond 2^53 would not survive in plain JSON.
		if whole, err := value.Int64(); err == nil {
			return form("$numberLong", strconv.FormatInt(whole, 10))
		}
		return form("$numberDouble", value.String())
	case float64:
		return form("$numberDouble", strconv.FormatFloat(value, 'g', -1, 64))
	case bson.A:
		return fromList(value)
	case []any:
		return fromList(value)
	case bson.D:
		object := make(bson.D, len(value))
		for index, member := range value {
			object[index] = bson.E{Key: member.Key, Value: FromNative(member.Value)}
		}
		return object
	case map[string]any:
		return fromMap(value)
	}
	return fromClass(value)
}

func fromClass(value any) any {
	switch value := value.(type) {
	case executionstore.RawValue:
		return form("$bson", hex.EncodeToString(value))
	case []byte:
		return binary(bson.TypeBinaryGeneric, value)
	case bson.Binary:
		return binary(value.Subtype, value.Data)
	case bson.DateTime:
		return form("$date", form("$numberLong", strconv.FormatInt(int64(value), 10)))
	case bson.ObjectID:
		return form("$oid", value.Hex())
	case bson.Decimal128:
		return form("$numberDecimal", value.String())
	case bson.Regex:
		return form("$regularExpression", bson.D{{Key: "pattern", Value: value.Pattern}, {Key: "options", Value: value.Options}})
	case bson.Timestamp:
		return form("$timestamp", bson.D{
			{Key: "t", Value: json.Number(strconv.FormatUint(uint64(value.T), 10))},
			{Key: "i", Value: json.Number(strconv.FormatUint(uint64(value.I), 10))},
		})
	case bson.JavaScript:
		return form("$code", string(value))
	case bson.MinKey:
		return form("$minKey", json.Number("1"))
	case bson.MaxKey:
		return form("$maxKey", json.Number("1"))
	}
	panic(fmt.Sprintf("a value of type %T cannot have been read", value))
}

func fromList(list []any) []any {
	all := make([]any, len(list))
	for index, item := range list {
		all[index] = FromNative(item)
	}
	return all
}

// fromMap takes what came as JSON, in which dates have a form for people.
func fromMap(value map[string]any) any {
	object := bson.D{}
	for name, member := range value {
		if text, ok := member.(string); ok && name == "$date" && len(value) == 1 {
			if date, err := time.Parse(time.RFC3339Nano, text); err == nil {
				return form("$date", form("$numberLong", strconv.FormatInt(date.UnixMilli(), 10)))
			}
		}
		object = append(object, bson.E{Key: name, Value: FromNative(member)})
	}
	return object
}

// ToJSON gives a neutral value as encoding/json takes it, with its forms as they are.
func ToJSON(node any) any {
	switch node := node.(type) {
	case []any:
		list := make([]any, len(node))
		for index, item := range node {
			list[index] = ToJSON(item)
		}
		return list
	case bson.D:
		if len(node) == 1 && node[0].Key == "$numberInt" {
			return json.Number(Text(node[0].Value))
		}
		object := make(map[string]any, len(node))
		for _, member := range node {
			object[member.Key] = ToJSON(member.Value)
		}
		return object
	}
	return node
}

func form(name string, body any) bson.D { return bson.D{{Key: name, Value: body}} }

func binary(subtype byte, data []byte) bson.D {
	return form("$binary", bson.D{
		{Key: "base64", Value: base64.StdEncoding.EncodeToString(data)},
		{Key: "subType", Value: fmt.Sprintf("%02x", subtype)},
	})
}

// Same says whether two neutral values are the same: numbers by what they are worth, fields in any order.
func Same(left, right any) bool {
	leftNumber, leftOK := worth(left)
	rightNumber, rightOK := worth(right)
	if leftOK || rightOK {
		return leftOK && rightOK && leftNumber == rightNumber
	}
	switch left := left.(type) {
	case []any:
		right, ok := right.([]any)
		if !ok || len(left) != len(right) {
			return false
		}
		for index := range left {
			if !Same(left[index], right[index]) {
				return false
			}
		}
		return true
	case bson.D:
		if object, ok := right.(bson.D); !ok || len(left) != len(object) {
			return false
		}
		for _, member := range left {
			other, ok := Find(right, member.Key)
			if !ok || !Same(member.Value, other) {
				return false
			}
		}
		return true
	}
	switch right.(type) {
	case []any, bson.D:
		return false
	}
	return left == right
}

// worth gives a text that numbers have in common if they are worth the same.
func worth(node any) (string, bool) {
	if plain, ok := node.(json.Number); ok {
		if whole, err := plain.Int64(); err == nil {
			return strconv.FormatInt(whole, 10), true
		}
		return worthOfDouble(plain.String())
	}
	object, _ := node.(bson.D)
	if len(object) != 1 {
		return "", false
	}
	text, ok := object[0].Value.(string)
	switch object[0].Key {
	case "$numberInt", "$numberLong":
		return text, ok
	case "$numberDouble":
		if ok {
			return worthOfDouble(text)
		}
	}
	return "", false
}

func worthOfDouble(text string) (string, bool) {
	double, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", false
	}
	if double == math.Trunc(double) && math.Abs(double) < 1<<63 {
		return strconv.FormatInt(int64(double), 10), true
	}
	return strconv.FormatFloat(double, 'g', -1, 64), true
}
