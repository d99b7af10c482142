package main

import "go.mongodb.org/mongo-driver/v2/bson"

// sample is what the values of the plan are.
type sample struct {
	Status   string    `bson:"status"`
	Progress int       `bson:"progress"`
	SHA256   string    `bson:"sha256"`
	Mean     []float64 `bson:"mean"`
	Model    string    `bson:"model"`
	Path     string    `bson:"path"`
	Attempts int       `bson:"attempts"`
	Error    *string   `bson:"error"`
}

// valueDocument is how a value travels.
type valueDocument struct {
	Value sample `bson:"value"`
}

// parsedValues has the values of a plan by their keys.
func parsedValues(plan *loadPlan) (map[string]sample, error) {
	values := make(map[string]sample, len(plan.Entries))
	for _, entry := range plan.Entries {
		var document valueDocument
		if err := bson.Unmarshal(entry.BSON, &document); err != nil {
			return nil, err
		}
		values[entry.Key] = document.Value
	}
	return values, nil
}
