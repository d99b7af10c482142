package executionstore_test

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/execution-store/execution-store/clients/go/internal/neutral"
)

// scenarioVariables is what the texts of a scenario may name.
type scenarioVariables map[string]any

var (
	variableName  = regexp.MustCompile(`\$\{([^}]+)\}`)
	wholeVariable = regexp.MustCompile(`^\$\{([^}]+)\}$`)
)

// nearMillis is how far a time may be from the one that is expected.
const nearMillis = 1500

// expand puts variables and generators of the notation in.
func (v scenarioVariables) expand(node any) any {
	switch node := node.(type) {
	case string:
		if whole := wholeVariable.FindStringSubmatch(node); whole != nil {
			return v.lookUp(whole[1])
		}
		return variableName.ReplaceAllStringFunc(node, func(named string) string {
			return fmt.Sprint(v.lookUp(named[2 : len(named)-1]))
		})
	case []any:
		list := make([]any, len(node))
		for index, item := range node {
			list[index] = v.expand(item)
		}
		return list
	case bson.D:
		if generated, ok := v.generate(node); ok {
			return generated
		}
		object := make(bson.D, len(node))
		for index, member := range node {
			object[index] = bson.E{Key: member.Key, Value: v.expand(member.Value)}
		}
		return object
	}
	return node
}

func (v scenarioVariables) generate(node bson.D) (any, bool) {
	if count, ok := neutral.Find(node, "$each"); ok {
		list := make([]any, toInt(count))
		for index := range list {
			inner := scenarioVariables{"i": fmt.Sprintf("%05d", index)}
			for name, value := range v {
				if name != "i" {
					inner[name] = value
				}
			}
			list[index] = inner.expand(neutral.Get(node, "item"))
		}
		return list, true
	}
	if length, ok := neutral.Find(node, "$text"); ok {
		return strings.Repeat("x", int(toInt(length))), true
	}
	if levels, ok := neutral.Find(node, "$nest"); ok {
		value := v.expand(neutral.Get(node, "of"))
		for range toInt(levels) {
			value = []any{value}
		}
		return value, true
	}
	return nil, false
}

func (v scenarioVariables) lookUp(path string) any {
	parts := strings.Split(path, ".")
	node, ok := v[parts[0]]
	for _, part := range parts[1:] {
		if list, isList := node.([]any); isList {
			index, err := strconv.Atoi(part)
			if ok = err == nil && index < len(list); ok {
				node = list[index]
			}
		} else {
			node, ok = neutral.Find(node, part)
		}
	}
	if !ok {
		panic("the scenario has nothing named " + path + " yet")
	}
	return node
}

// difference says where an answer is not what was expected; empty if it is.
func difference(expected, actual any, path string) string {
	switch expected := expected.(type) {
	case []any:
		list, ok := actual.([]any)
		if !ok || len(list) != len(expected) {
			return differs(expected, actual, path)
		}
		for index := range expected {
			if found := difference(expected[index], list[index], fmt.Sprintf("%s[%d]", path, index)); found != "" {
				return found
			}
		}
		return ""
	case bson.D:
		matches, isMatcher := matched(expected, actual)
		if _, ok := actual.(bson.D); ok && !isMatcher {
			return objectDifference(expected, actual, path)
		}
		if matches {
			return ""
		}
	default:
		if neutral.Same(expected, plainNumber(actual)) || expected == actual {
			return ""
		}
	}
	return differs(expected, actual, path)
}

func differs(expected, actual any, path string) string {
	return fmt.Sprintf("%s is %s, expected %s", path, shown(actual), shown(expected))
}

func objectDifference(expected bson.D, actual any, path string) string {
	for _, member := range expected {
		there, at := neutral.Get(actual, member.Key), path+"."+member.Key
		_, isMatcher := matched(member.Value, there)
		// These hold what callers stored: compared as a whole, with numbers by what they are worth.
		exact := member.Key == "value" || member.Key == "metadata"
		if !exact || isMatcher {
			if found := difference(member.Value, there, at); found != "" {
				return found
			}
		} else if !neutral.Same(member.Value, there) {
			return differs(member.Value, there, at)
		}
	}
	return ""
}

// matched says whether a matcher matches; false at the end if the expectation is none.
func matched(expected, actual any) (matches, isMatcher bool) {
	object, _ := expected.(bson.D)
	if len(object) != 1 {
		return false, false
	}
	body := object[0].Value
	switch object[0].Key {
	case "$any":
		return actual != nil, true
	case "$not":
		return difference(body, actual, "") != "", true
	case "$above":
		return isNumber(actual) && toInt(actual) > toInt(body), true
	case "$atLeast":
		return isNumber(actual) && toInt(actual) >= toInt(body), true
	case "$near":
		pair := body.([]any)
		return isNumber(actual) && math.Abs(float64(toInt(actual)-toInt(pair[0])-toInt(pair[1]))) <= nearMillis, true
	case "$length":
		switch actual := actual.(type) {
		case string:
			return int64(len(actual)) == toInt(body), true
		case []any:
			return int64(len(actual)) == toInt(body), true
		}
		return false, true
	}
	return false, false
}

func isNumber(node any) bool {
	switch node.(type) {
	case json.Number, int64:
		return true
	}
	return false
}

func plainNumber(node any) any {
	if whole, ok := node.(int64); ok {
		return json.Number(strconv.FormatInt(whole, 10))
	}
	return node
}

func toInt(node any) int64 {
	switch node := node.(type) {
	case int64:
		return node
	case json.Number:
		whole, err := node.Int64()
		if err != nil {
			panic(err)
		}
		return whole
	}
	panic(fmt.Sprintf("a scenario has a %T where a number belongs", node))
}

func shown(node any) string {
	text, err := neutral.JSON(node)
	if err != nil {
		return err.Error()
	}
	if len(text) > 500 {
		return string(text[:500]) + "…"
	}
	return string(text)
}
