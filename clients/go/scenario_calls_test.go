package executionstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	executionstore "github.com/execution-store/execution-store/clients/go"
	"github.com/execution-store/execution-store/clients/go/internal/neutral"
)

// scenarioCall is one call of a scenario, with what it is called on.
type scenarioCall struct {
	ctx     context.Context
	service *executionstore.Service
	args    bson.D
}

// scenarioCalls is every method of the service, by the name that scenarios have for it.
var scenarioCalls = map[string]func(scenarioCall) (any, error){
	"create_store": func(c scenarioCall) (any, error) {
		return storeOf(c.service.CreateStore(c.ctx, c.text("store_name"), c.createOptions()...))
	},
	"get_store": func(c scenarioCall) (any, error) {
		found, err := c.service.GetStore(c.ctx, c.text("store_name"))
		if errors.Is(err, executionstore.ErrStoreNotFound) {
			return nil, nil
		}
		return storeOf(found, err)
	},
	"has_store": func(c scenarioCall) (any, error) { return c.service.HasStore(c.ctx, c.text("store_name")) },
	"list_stores": func(c scenarioCall) (any, error) {
		return listOf(executionstore.Collect(c.service.Stores(c.ctx, c.listOptions()...)))
	},
	"count_stores": func(c scenarioCall) (any, error) { return c.service.CountStores(c.ctx) },
	"delete_store": func(c scenarioCall) (any, error) { return c.service.DeleteStore(c.ctx, c.text("store_name")) },
	"clear_cache": func(c scenarioCall) (any, error) {
		if c.has("store_name") {
			return c.service.ClearCache(c.ctx, c.text("store_name"))
		}
		return c.service.ClearCaches(c.ctx)
	},
	"cleanup": func(c scenarioCall) (any, error) { return c.service.Cleanup(c.ctx) },
	"set_key": func(c scenarioCall) (any, error) {
		return setOf(c.service.SetKey(c.ctx, c.text("store_name"), c.text("key"), c.value("value"), c.setOptions(c.args)...))
	},
	"set_cache_key": func(c scenarioCall) (any, error) {
		return setOf(c.service.SetCacheKey(c.ctx, c.text("store_name"), c.text("key"), c.value("value"), c.setOptions(c.args)...))
	},
	"set_key_if_absent": func(c scenarioCall) (any, error) {
		return conditionalOf(c.service.SetKeyIfAbsent(
			c.ctx, c.text("store_name"), c.text("key"), c.value("value"), c.setOptions(c.args)...))
	},
	"compare_and_set_key": func(c scenarioCall) (any, error) {
		expected := executionstore.ExpectValue(c.value("expected"))
		if c.has("etag") {
			expected = executionstore.ExpectEtag(c.text("etag"))
		}
		return conditionalOf(c.service.CompareAndSetKey(
			c.ctx, c.text("store_name"), c.text("key"), expected, c.value("value"), c.setOptions(c.args)...))
	},
	"get_key": func(c scenarioCall) (any, error) {
		found, err := c.service.GetKey(c.ctx, c.text("store_name"), c.text("key"), c.readOptions()...)
		if errors.Is(err, executionstore.ErrKeyNotFound) {
			return nil, nil
		}
		return c.documentOf(found, err)
	},
	"has_key": func(c scenarioCall) (any, error) {
		return c.service.HasKey(c.ctx, c.text("store_name"), c.text("key"))
	},
	"delete_key": func(c scenarioCall) (any, error) {
		var options []executionstore.DeleteOption
		if c.has("etag") {
			options = append(options, executionstore.IfEtag(c.text("etag")))
		}
		return c.service.DeleteKey(c.ctx, c.text("store_name"), c.text("key"), options...)
	},
	"update_ttl": func(c scenarioCall) (any, error) {
		return c.documentOf(c.service.UpdateTTL(c.ctx, c.text("store_name"), c.text("key"), seconds(neutral.Get(c.args, "ttl"))))
	},
	"update_policy": func(c scenarioCall) (any, error) {
		return c.documentOf(c.service.UpdatePolicy(c.ctx, c.text("store_name"), c.text("key"), policies[c.text("policy")]))
	},
	"list_keys": func(c scenarioCall) (any, error) {
		if c.has("page_token") {
			page, err := c.service.ListKeys(c.ctx, c.text("store_name"), c.listOptions()...)
			if err != nil {
				return nil, err
			}
			return listOf(page.Items, nil)
		}
		return listOf(executionstore.Collect(c.service.Keys(c.ctx, c.text("store_name"), c.listOptions()...)))
	},
	"list_values": func(c scenarioCall) (any, error) {
		return c.documentsOf(executionstore.Collect(c.service.Values(c.ctx, c.text("store_name"), c.listOptions()...)))
	},
	"count_keys": func(c scenarioCall) (any, error) {
		prefix, _ := neutral.Get(c.args, "prefix").(string)
		return c.service.CountKeys(c.ctx, c.text("store_name"), executionstore.WithPrefix(prefix))
	},
	"batch_get_keys": func(c scenarioCall) (any, error) {
		return c.documentsOf(c.service.BatchGetKeys(c.ctx, c.text("store_name"), c.texts("keys"), c.readOptions()...))
	},
	"batch_set_keys": func(c scenarioCall) (any, error) {
		results, err := c.service.BatchSetKeys(c.ctx, c.text("store_name"), c.entries())
		if err != nil {
			return nil, err
		}
		list := []any{}
		for _, result := range results {
			set, _ := setOf(result, nil)
			list = append(list, set)
		}
		return list, nil
	},
	"batch_delete_keys": func(c scenarioCall) (any, error) {
		return c.service.BatchDeleteKeys(c.ctx, c.text("store_name"), c.texts("keys"))
	},
	"has_store_global": func(c scenarioCall) (any, error) { return c.service.HasStoreGlobal(c.ctx, c.text("store_name")) },
	"list_stores_global": func(c scenarioCall) (any, error) {
		stores, err := executionstore.Collect(c.service.StoresGlobal(c.ctx, c.listOptions()...))
		if err != nil {
			return nil, err
		}
		list := []any{}
		for _, store := range stores {
			document, _ := storeOf(store, nil)
			list = append(list, document)
		}
		return list, nil
	},
	"count_stores_global": func(c scenarioCall) (any, error) { return c.service.CountStoresGlobal(c.ctx) },
	"delete_store_global": func(c scenarioCall) (any, error) {
		deleted, err := c.service.DeleteStoreGlobal(c.ctx, c.text("store_name"))
		return bson.D{{Key: "stores", Value: deleted.Stores}, {Key: "documents", Value: deleted.Documents}}, err
	},
}

var policies = map[string]executionstore.Policy{"persist": executionstore.Persist, "evict": executionstore.Evict}

func (c scenarioCall) has(name string) bool {
	_, ok := neutral.Find(c.args, name)
	return ok
}

func (c scenarioCall) text(name string) string { return neutral.Text(neutral.Get(c.args, name)) }

func (c scenarioCall) texts(name string) []string {
	texts := []string{}
	for _, item := range neutral.Get(c.args, name).([]any) {
		texts = append(texts, neutral.Text(item))
	}
	return texts
}

func (c scenarioCall) value(name string) any { return native(neutral.Get(c.args, name)) }

func native(node any) any {
	value, err := neutral.ToNative(node)
	if err != nil {
		panic(err)
	}
	return value
}

func seconds(node any) time.Duration {
	double, err := node.(json.Number).Float64()
	if err != nil {
		panic(err)
	}
	return time.Duration(double * float64(time.Second))
}

func (c scenarioCall) entries() []executionstore.SetEntry {
	entries := []executionstore.SetEntry{}
	for _, node := range neutral.Get(c.args, "entries").([]any) {
		entry := executionstore.SetEntry{
			Key:    neutral.Text(neutral.Get(node, "key")),
			Value:  native(neutral.Get(node, "value")),
			Policy: policies[textOr(node, "policy")],
		}
		if ttl, ok := neutral.Find(node, "ttl"); ok {
			entry.TTL = seconds(ttl)
		}
		entries = append(entries, entry)
	}
	return entries
}

func textOr(node any, name string) string {
	text, _ := neutral.Get(node, name).(string)
	return text
}

func (c scenarioCall) setOptions(node bson.D) []executionstore.SetOption {
	var options []executionstore.SetOption
	if ttl, ok := neutral.Find(node, "ttl"); ok {
		options = append(options, executionstore.WithTTL(seconds(ttl)))
	}
	if policy, ok := neutral.Find(node, "policy"); ok {
		options = append(options, executionstore.WithPolicy(policies[neutral.Text(policy)]))
	}
	if textOr(node, "encoding") == "json" {
		options = append(options, executionstore.WithEncoding(executionstore.EncodingJSON))
	}
	return options
}

func (c scenarioCall) createOptions() []executionstore.CreateOption {
	var options []executionstore.CreateOption
	if metadata, ok := neutral.Find(c.args, "metadata"); ok {
		options = append(options, executionstore.WithMetadata(neutral.ToJSON(metadata)))
	}
	if policy, ok := neutral.Find(c.args, "policy"); ok {
		options = append(options, executionstore.WithPolicy(policies[neutral.Text(policy)]))
	}
	return options
}

// encoding is what a read asks for; raw values are those of BSON.
func (c scenarioCall) encoding() (executionstore.EncodingOption, bool) {
	switch textOr(c.args, "encoding") {
	case "none":
		return executionstore.WithEncoding(executionstore.EncodingNone), true
	case "raw":
		return executionstore.WithEncoding(executionstore.EncodingBSON), true
	case "json":
		return executionstore.WithEncoding(executionstore.EncodingJSON), true
	}
	return executionstore.EncodingOption{}, false
}

func (c scenarioCall) readOptions() []executionstore.ReadOption {
	if encoding, ok := c.encoding(); ok {
		return []executionstore.ReadOption{encoding}
	}
	return nil
}

func (c scenarioCall) listOptions() []executionstore.ListOption {
	var options []executionstore.ListOption
	if encoding, ok := c.encoding(); ok {
		options = append(options, encoding)
	}
	if c.has("prefix") {
		options = append(options, executionstore.WithPrefix(c.text("prefix")))
	}
	if size, ok := neutral.Find(c.args, "page_size"); ok {
		options = append(options, executionstore.WithPageSize(int32(toInt(size))))
	}
	if c.has("page_token") {
		options = append(options, executionstore.WithPageToken(c.text("page_token")))
	}
	return options
}
