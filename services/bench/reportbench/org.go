package reportbench

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/bench/apart"
	"github.com/throughline-dev/throughline/services/simulator"
)

// jobRows is how many rows one job has, as the writer's do by default; pollEvery is how often one is looked at.
const (
	jobRows   = 20_000
	pollEvery = time.Second
)

func scenario(latency time.Duration) *simulator.Scenario {
	return &simulator.Scenario{Orgs: []simulator.Org{{
		Key: "main", API: simulator.API{DailyLimit: 1 << 40, BulkBatches: 1 << 30}, Latency: simulator.Latency{Median: latency, P99: latency},
		Apps:  []simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "bench@acme.example"}},
		Users: []simulator.User{{Username: "bench@acme.example", LastName: "Bench"}},
		Objects: []simulator.Object{{Name: "Contact", Fields: []simulator.Field{
			{Name: keyField, Type: "string", Length: 36, ExternalID: true, Unique: true},
			{Name: "Score__c", Type: "double", Precision: 10, Scale: 2},
			{Name: "Level__c", Type: "string", Length: 20},
		}}},
	}}}
}

const keyField = "Guid__c"

func guid(i int) string { return fmt.Sprintf("0f8fad5b-d9cb-469f-a165-%012x", i) }

// simulate serves the org and signs in to it.
func (e *environment) simulate(ctx context.Context) error {
	base, err := e.serveOrg(ctx)
	if err != nil {
		return err
	}
	t, err := oauth.ClientCredentials(ctx, oauth.Request{LoginURL: base + "/orgs/main", ClientID: "app", ClientSecret: secret.New("secret")})
	if err != nil {
		return fmt.Errorf("sign in to the org: %w", err)
	}
	e.org = salesforce.NewClient(salesforce.DefaultConfig(),
		salesforce.StaticToken{AccessToken: t.AccessToken, InstanceURL: t.InstanceURL}, salesforce.Deps{})
	return nil
}

func (e *environment) serveOrg(ctx context.Context) (string, error) {
	sc := scenario(e.cfg.Latency)
	if e.cfg.Program == "" {
		sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{})
		if err != nil {
			return "", err
		}
		if err := sim.Seed(ctx, sc); err != nil {
			return "", err
		}
		server := httptest.NewServer(sim.Handler())
		e.closers = append(e.closers, func() error { server.Close(); return sim.Close() })
		return server.URL, nil
	}
	url, stop, err := apart.Simulator(ctx, e.cfg.Program, sc)
	if err != nil {
		return "", err
	}
	e.closers = append(e.closers, stop)
	return url, nil
}

// bulk brings all rows into the org in bare jobs, one after the other.
func (e *environment) bulk(ctx context.Context, op salesforce.Operation, score float64) error {
	req := salesforce.BulkRequest{Operation: op, Object: "Contact"}
	if op == salesforce.Upsert {
		req.ExternalIDField = keyField
	}
	for first := 0; first < e.cfg.Rows; first += jobRows {
		records := make([]salesforce.CollectionRecord, 0, jobRows)
		for i := first; i < min(first+jobRows, e.cfg.Rows); i++ {
			r := salesforce.CollectionRecord{Fields: salesforce.Fields{
				{Name: "Level__c", Value: "Gold"}, {Name: "Score__c", Value: score + float64(i%1000)},
			}}
			if op == salesforce.Upsert {
				r.ExternalID = guid(i)
			} else {
				r.Fields = append(r.Fields, salesforce.Field{Name: keyField, Value: guid(i)}, salesforce.Field{Name: "LastName", Value: "Yamada"})
			}
			records = append(records, r)
		}
		if err := e.job(ctx, req, records); err != nil {
			return err
		}
	}
	return nil
}

// job carries one job to its end and reads its results, as everybody must who wants to know what became of the rows.
func (e *environment) job(ctx context.Context, req salesforce.BulkRequest, records []salesforce.CollectionRecord) error {
	data, err := salesforce.EncodeBulk(req, records)
	if err != nil {
		return err
	}
	job, err := e.org.CreateBulkJob(ctx, req)
	if err != nil {
		return err
	}
	if err := e.org.UploadBulkJob(ctx, job.ID, data); err != nil {
		return err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for job, err = e.org.CloseBulkJob(ctx, job.ID); err == nil && !job.State.Ended(); job, err = e.org.BulkJob(ctx, job.ID) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	results, err := e.org.BulkResults(ctx, job.ID, keyField, 0)
	if err == nil && len(results.Successful) != len(records) {
		err = fmt.Errorf("a bare job wrote %d of %d rows", len(results.Successful), len(records))
	}
	return err
}
