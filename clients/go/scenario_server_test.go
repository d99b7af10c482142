package executionstore_test

import (
	"os"
	"path/filepath"
	"testing"

	executionstore "github.com/execution-store/execution-store/clients/go"
)

// openScenarioClient starts a server over an engine, which serves another collection, too, and connects to it.
func openScenarioClient(t *testing.T, engine string) *executionstore.Client {
	store := "lmdb:" + filepath.Join(t.TempDir(), "db")
	if engine == "MongoDB" {
		uri := os.Getenv("EXECUTION_STORE_TEST_MONGODB_URI")
		if uri == "" {
			leaveOut(t, "EXECUTION_STORE_TEST_MONGODB_URI is not set: no MongoDB to test with")
		}
		database := newDatabase(uri)
		t.Cleanup(func() {
			if err := database.drop(); err != nil {
				t.Error(err)
			}
		})
		store = database.uri
	}
	server, err := startServer(store, "--collections", "other")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.kill)
	client, err := executionstore.New(executionstore.WithAddress(server.address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
