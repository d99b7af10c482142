package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// entry is a key with its value, which is the field value of a document of BSON.
type entry struct {
	Key  string `json:"key"`
	BSON []byte `json:"bson"`
}

type loadPlan struct {
	DatasetID string `json:"datasetId"`
	Stores    struct {
		Read    string `json:"read"`
		Write   string `json:"write"`
		Changed string `json:"changed"`
		Awaited string `json:"awaited"`
	} `json:"stores"`
	// Entries are taken in turn.
	Entries []entry `json:"entries"`
	// Batch has the keys of a batch.
	Batch []string `json:"batch"`
	// Changes are what a catch-up reads behind the token.
	Changes     int    `json:"changes"`
	ResumeToken string `json:"resumeToken"`
}

func (p *loadPlan) entry(turn int) *entry { return &p.Entries[turn%len(p.Entries)] }

type loadRequest struct {
	Server string `json:"server"`
	By     string `json:"by"`
	// Values says whether they are made from, and into, those of Go; else they stay the bytes that they travel as.
	Values bool    `json:"values"`
	Call   string  `json:"call"`
	AtOnce int     `json:"atOnce"`
	Ms     float64 `json:"ms"`
}

type loadAnswer struct {
	Calls int     `json:"calls"`
	Ms    float64 `json:"ms"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// caller makes one call, which turn counts, and answers how many it counts for.
type caller func(ctx context.Context, turn int) (int, error)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile is the smallest time that so many of all are not above.
func quantile(sorted []time.Duration, share float64) float64 {
	index := max(1, int(math.Ceil(share*float64(len(sorted))))) - 1
	return milliseconds(sorted[index])
}

// loader makes calls; it keeps its connections.
type loader struct {
	plan    loadPlan
	callers map[string]map[string]caller
	turn    atomic.Int64
}

func (l *loader) callersOf(request loadRequest) (map[string]caller, error) {
	name := fmt.Sprint(request.By, request.Server, request.Values)
	if callers, ok := l.callers[name]; ok {
		return callers, nil
	}
	open := stubCallers
	if request.By == "client" {
		open = clientCallers
	}
	callers, err := open(request.Server, &l.plan, request.Values)
	if err == nil {
		l.callers[name] = callers
	}
	return callers, err
}

func (l *loader) load(request loadRequest) (loadAnswer, error) {
	callers, err := l.callersOf(request)
	if err != nil {
		return loadAnswer{}, err
	}
	call := callers[request.Call]
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var working sync.WaitGroup
	var calls atomic.Int64
	times := make([][]time.Duration, request.AtOnce)
	start := time.Now()
	until := start.Add(time.Duration(request.Ms * float64(time.Millisecond)))
	for worker := range request.AtOnce {
		working.Go(func() {
			for now := start; now.Before(until); {
				done, err := call(ctx, int(l.turn.Add(1)))
				if err != nil {
					cancel(err)
					return
				}
				calls.Add(int64(done))
				then := now
				now = time.Now()
				times[worker] = append(times[worker], now.Sub(then))
			}
		})
	}
	working.Wait()
	passed := time.Since(start)
	if err := context.Cause(ctx); err != nil {
		return loadAnswer{}, err
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	return loadAnswer{
		Calls: int(calls.Load()),
		Ms:    milliseconds(passed),
		P50:   quantile(all, 0.5),
		P99:   quantile(all, 0.99),
	}, nil
}

func load(file string) error {
	loader := loader{callers: map[string]map[string]caller{}}
	if err := readPlan(file, &loader.plan); err != nil {
		return err
	}
	// One load after the other, as they are asked for.
	var loading sync.Mutex
	handler := func(response http.ResponseWriter, request *http.Request) {
		loading.Lock()
		defer loading.Unlock()
		var wanted loadRequest
		err := json.NewDecoder(request.Body).Decode(&wanted)
		var answer any
		if err == nil {
			answer, err = loader.load(wanted)
		}
		if err != nil {
			answer = map[string]string{"error": "Go: " + err.Error()}
		}
		_ = json.NewEncoder(response).Encode(answer)
	}
	listener, err := listen()
	if err != nil {
		return err
	}
	return http.Serve(listener, http.HandlerFunc(handler))
}
