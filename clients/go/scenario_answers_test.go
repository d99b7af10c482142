package executionstore_test

import (
	"regexp"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"google.golang.org/grpc/codes"

	executionstore "github.com/execution-store/execution-store/clients/go"
	"github.com/execution-store/execution-store/clients/go/internal/neutral"
)

// Answers in the notation's terms: times are milliseconds since 1970, what is missing is nil.

func millis(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UnixMilli()
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func policyName(policy executionstore.Policy) any {
	if policy == executionstore.PolicyDefault {
		return nil
	}
	return policy.String()
}

func listOf(texts []string, err error) (any, error) {
	list := make([]any, len(texts))
	for index, text := range texts {
		list[index] = text
	}
	return list, err
}

// documentOf takes the value as it was asked for.
func (c scenarioCall) documentOf(document *executionstore.KeyDocument, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	neutralDocument := metadataOf(document)
	if !document.HasValue() {
		return neutralDocument, nil
	}
	var value any = document.Raw()
	if textOr(c.args, "encoding") != "raw" {
		if err := document.Decode(&value); err != nil {
			return nil, err
		}
	}
	return append(neutralDocument, bson.E{Key: "value", Value: neutral.FromNative(value)}), nil
}

func (c scenarioCall) documentsOf(documents []*executionstore.KeyDocument, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, document := range documents {
		one, err := c.documentOf(document, nil)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func metadataOf(document *executionstore.KeyDocument) bson.D {
	return bson.D{
		{Key: "store_name", Value: document.StoreName},
		{Key: "key", Value: document.Key},
		{Key: "dataset_id", Value: orNil(document.DatasetID)},
		{Key: "created_at", Value: millis(document.CreatedAt)},
		{Key: "updated_at", Value: millis(document.UpdatedAt)},
		{Key: "expires_at", Value: millis(document.ExpiresAt)},
		{Key: "policy", Value: policyName(document.Policy)},
		{Key: "etag", Value: orNil(document.Etag)},
	}
}

func setOf(result *executionstore.SetResult, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return append(metadataOf(result.Document), bson.E{Key: "created", Value: result.Created}), nil
}

func conditionalOf(result *executionstore.ConditionalResult, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	var document any
	if result.Document != nil {
		document = metadataOf(result.Document)
	}
	return bson.D{{Key: "set", Value: result.Set}, {Key: "document", Value: document}}, nil
}

func storeOf(document *executionstore.StoreDocument, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	var metadata any
	if document.Metadata != nil {
		metadata = neutral.FromNative(document.Metadata)
	}
	return bson.D{
		{Key: "store_name", Value: document.StoreName},
		{Key: "dataset_id", Value: orNil(document.DatasetID)},
		{Key: "metadata", Value: metadata},
		{Key: "created_at", Value: millis(document.CreatedAt)},
		{Key: "updated_at", Value: millis(document.UpdatedAt)},
		{Key: "expires_at", Value: millis(document.ExpiresAt)},
		{Key: "policy", Value: policyName(document.Policy)},
		{Key: "etag", Value: orNil(document.Etag)},
	}, nil
}

// eventOf gives an event of a watch.
func (c scenarioCall) eventOf(event executionstore.Event) (any, error) {
	name := event.Type.String()
	if event.Type == executionstore.EventSnapshotComplete {
		name = "snapshot_complete"
	}
	told := bson.D{{Key: "type", Value: name}, {Key: "resume_token", Value: orNil(event.ResumeToken)}}
	if event.Key == "" {
		return told, nil
	}
	told = append(told,
		bson.E{Key: "store_name", Value: event.StoreName},
		bson.E{Key: "key", Value: event.Key},
		bson.E{Key: "dataset_id", Value: orNil(event.DatasetID)},
		bson.E{Key: "commit_time", Value: millis(event.CommitTime)},
		bson.E{Key: "previous_value_omitted", Value: event.PreviousValueOmitted},
	)
	for name, document := range map[string]*executionstore.KeyDocument{"document": event.Document, "previous": event.Previous} {
		if document == nil {
			continue
		}
		converted, err := c.documentOf(document, nil)
		if err != nil {
			return nil, err
		}
		told = append(told, bson.E{Key: name, Value: converted})
	}
	return told, nil
}

// errorOf gives an error, without the fields at fault.
func errorOf(err *executionstore.Error) bson.D {
	var resource any
	if err.Resource != nil {
		resource = bson.D{{Key: "type", Value: err.Resource.Type}, {Key: "name", Value: err.Resource.Name}}
	}
	return bson.D{
		{Key: "status", Value: statusName(err.Code)},
		{Key: "reason", Value: string(err.Reason)},
		{Key: "outcome", Value: orNil(string(err.Outcome))},
		{Key: "resource", Value: resource},
	}
}

var capital = regexp.MustCompile(`[a-z][A-Z]`)

// statusName is that of a gRPC code as the contract has it, such as NOT_FOUND.
func statusName(code codes.Code) string {
	separated := capital.ReplaceAllStringFunc(code.String(), func(two string) string { return two[:1] + "_" + two[1:] })
	return strings.ToUpper(separated)
}
