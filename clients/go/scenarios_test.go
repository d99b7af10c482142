package executionstore_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	executionstore "github.com/execution-store/execution-store/clients/go"
	"github.com/execution-store/execution-store/clients/go/internal/neutral"
)

const (
	// scenarioCases are those that all clients share.
	scenarioCases = "../../test/scenarios/cases"
	eventually    = 10 * time.Second
	patience      = 20 * time.Second
)

// scenarioFeatures is what this client can do of what steps may need.
var scenarioFeatures = []any{"bson", "json", "pages"}

func TestScenarios(t *testing.T) {
	for _, engine := range []string{"LMDB", "MongoDB"} {
		t.Run(engine, func(t *testing.T) {
			client := openScenarioClient(t, engine)
			for name, steps := range scenarios(t) {
				t.Run(name, func(t *testing.T) { runScenario(t, client, steps) })
			}
		})
	}
}

// scenarios gives the steps of every scenario by its name.
func scenarios(t *testing.T) iter.Seq2[string, []any] {
	files, err := filepath.Glob(scenarioCases + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scenarios in %s: %v", scenarioCases, err)
	}
	return func(yield func(string, []any) bool) {
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			list, err := neutral.Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, scenario := range list.([]any) {
				name := strings.TrimSuffix(filepath.Base(file), ".json") + ": " + neutral.Text(neutral.Get(scenario, "name"))
				if !yield(name, neutral.Get(scenario, "steps").([]any)) {
					return
				}
			}
		}
	}
}

func runScenario(t *testing.T, client *executionstore.Client, steps []any) {
	dataset := "abcdef" + randomHex(9)
	run := &scenarioRun{t: t, client: client, watches: map[string]*scenarioWatch{}, variables: scenarioVariables{
		"store":         "scenario-" + randomHex(6),
		"dataset":       dataset,
		"DATASET":       strings.ToUpper(dataset),
		"other_dataset": "fedcba" + randomHex(9),
	}}
	t.Cleanup(func() {
		for _, watch := range run.watches {
			watch.stop()
		}
	})
	for index, step := range steps {
		needs, _ := neutral.Get(step, "needs").([]any)
		if slices.ContainsFunc(needs, func(need any) bool { return !slices.Contains(scenarioFeatures, need) }) {
			continue
		}
		if problem := run.take(step); problem != "" {
			t.Fatalf("step %d (%s): %s", index, shown(step), problem)
		}
	}
}

func randomHex(size int) string {
	random := make([]byte, size)
	_, _ = rand.Read(random)
	return hex.EncodeToString(random)
}

type scenarioRun struct {
	t         *testing.T
	client    *executionstore.Client
	variables scenarioVariables
	watches   map[string]*scenarioWatch
}

type scenarioWatch struct {
	call  scenarioCall
	watch *executionstore.Watch
	next  func() (executionstore.Event, error, bool)
	stop  func()
}

// take says what is wrong with the outcome of a step.
func (r *scenarioRun) take(step any) string {
	if name := textOr(step, "close"); name != "" {
		r.watches[name].stop()
		return ""
	}
	problem := r.outcome(step)
	if neutral.Get(step, "eventually") == true {
		for deadline := time.Now().Add(eventually); problem != "" && time.Now().Before(deadline); problem = r.outcome(step) {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return problem
}

func (r *scenarioRun) outcome(step any) string {
	answer, err := r.answer(step)
	refused, mustFail := neutral.Find(step, "error")
	if err != nil {
		var storeError *executionstore.Error
		if !mustFail || !errors.As(err, &storeError) {
			return err.Error()
		}
		return errorDifference(r.variables.expand(refused), storeError)
	}
	if mustFail {
		return "ended well, expected " + shown(refused)
	}
	expected, ok := neutral.Find(step, "result")
	if events, isRead := neutral.Find(step, "events"); isRead {
		expected, ok = events, true
	}
	if ok {
		if problem := difference(r.variables.expand(expected), answer, "answer"); problem != "" {
			return problem
		}
	}
	if name := textOr(step, "save"); name != "" {
		r.variables[name] = answer
	}
	return ""
}

func (r *scenarioRun) answer(step any) (any, error) {
	if name := textOr(step, "read"); name != "" {
		return r.read(name, len(neutral.Get(step, "events").([]any)))
	}
	contextOf := r.variables.expand(neutral.Get(step, "context"))
	args, _ := r.variables.expand(neutral.Get(step, "args")).(bson.D)
	call := scenarioCall{ctx: r.t.Context(), args: args, service: r.client.Service(
		executionstore.WithDataset(textOr(contextOf, "dataset_id")),
		executionstore.WithCollection(textOr(contextOf, "collection_name")),
	)}
	if name := textOr(step, "watch"); name != "" {
		r.watches[name] = openScenarioWatch(call)
		if _, mustFail := neutral.Find(step, "error"); mustFail {
			// A watch connects when it is read.
			return r.watches[name].event()
		}
		return nil, nil
	}
	method, ok := scenarioCalls[textOr(step, "call")]
	if !ok {
		return nil, fmt.Errorf("no client has a method %s", textOr(step, "call"))
	}
	return method(call)
}

func (r *scenarioRun) read(name string, count int) (any, error) {
	events := []any{}
	for range count {
		event, err := r.watches[name].event()
		if err != nil {
			return nil, err
		}
		events = append(events, event)
		r.variables[name] = bson.D{{Key: "token", Value: neutral.Get(event, "resume_token")}}
	}
	return events, nil
}

var eventTypes = map[string]executionstore.EventType{
	"existing": executionstore.EventExisting, "created": executionstore.EventCreated, "updated": executionstore.EventUpdated,
	"deleted": executionstore.EventDeleted, "expired": executionstore.EventExpired,
}

func openScenarioWatch(call scenarioCall) *scenarioWatch {
	var options []executionstore.WatchOption
	for _, arg := range call.args {
		switch arg.Key {
		case "store_name":
			options = append(options, executionstore.WithStore(neutral.Text(arg.Value)))
		case "all_contexts":
			options = append(options, executionstore.WithAllContexts())
		case "key":
			options = append(options, executionstore.WithKey(neutral.Text(arg.Value)))
		case "key_prefix":
			options = append(options, executionstore.WithPrefix(neutral.Text(arg.Value)))
		case "snapshot":
			options = append(options, executionstore.WithSnapshot())
		case "resume_token":
			options = append(options, executionstore.WithResumeToken(neutral.Text(arg.Value)))
		case "include_previous":
			options = append(options, executionstore.WithPrevious())
		case "event_types":
			var types []executionstore.EventType
			for _, name := range arg.Value.([]any) {
				types = append(types, eventTypes[neutral.Text(name)])
			}
			options = append(options, executionstore.WithEventTypes(types...))
		case "encoding":
			encoding, _ := call.encoding()
			options = append(options, encoding)
		default:
			panic("no watch takes " + arg.Key)
		}
	}
	watch := call.service.WatchKeys(call.ctx, options...)
	next, stop := iter.Pull2(watch.Events())
	return &scenarioWatch{call: call, watch: watch, next: next, stop: stop}
}

// event gives the next one but progress.
func (w *scenarioWatch) event() (any, error) {
	for {
		timer := time.AfterFunc(patience, w.watch.Close)
		event, err, more := w.next()
		timer.Stop()
		switch {
		case err != nil:
			return nil, err
		case !more:
			return nil, fmt.Errorf("no event came in %s", patience)
		case event.Type != executionstore.EventProgress:
			return w.call.eventOf(event)
		}
	}
}

func errorDifference(expected any, err *executionstore.Error) string {
	var plain bson.D
	for _, member := range expected.(bson.D) {
		if member.Key != "fields" {
			plain = append(plain, member)
		}
	}
	if problem := difference(plain, errorOf(err), "error"); problem != "" {
		return problem
	}
	fields, _ := neutral.Get(expected, "fields").([]any)
	for _, field := range fields {
		// A client may name a place in a value, or the form in which it travels.
		if !slices.ContainsFunc(err.Violations, func(violation executionstore.FieldViolation) bool {
			return strings.HasPrefix(violation.Field, neutral.Text(field))
		}) {
			return fmt.Sprintf("the error names %v, expected %v", err.Violations, field)
		}
	}
	return ""
}
