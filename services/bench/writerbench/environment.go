package writerbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer"
)

const (
	workspace  = "acme"
	partitions = 4
	// doneWithin bounds the wait for outcomes: a writer that stands still ends the run.
	doneWithin = 5 * time.Minute
	lookEvery  = 2 * time.Millisecond
)

// environment is one writer on a broker and orgs of its own.
type environment struct {
	cfg      Config
	kafka    *kafka.Client
	view     *settings.View
	orgs     pool
	outcomes *outcomes
	sent     int
	closers  []func() error
}

// pool is the orgs' clients by connection.
type pool map[string]*salesforce.Client

// Client implements writer.Orgs.
func (p pool) Client(_, connection string) (*salesforce.Client, error) {
	if c := p[connection]; c != nil {
		return c, nil
	}
	return nil, errors.New("no such connection")
}

// calls is how many requests all clients have made.
func (p pool) calls() (n int64) {
	for _, c := range p {
		n += c.Calls()
	}
	return n
}

// open starts everything; the last dead orgs of n are dead.
func open(ctx context.Context, cfg Config, latency time.Duration, n, dead int) (_ *environment, err error) {
	e := &environment{cfg: cfg, orgs: pool{}, outcomes: newOutcomes()}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	base, err := e.simulate(ctx, scenario(n-dead, latency))
	if err != nil {
		return nil, err
	}
	for i := range n - dead {
		if e.orgs[orgName(i)], err = sign(ctx, base, orgName(i)); err != nil {
			return nil, err
		}
	}
	lost, err := e.dead(ctx, dead)
	if err != nil {
		return nil, err
	}
	for i, c := range lost {
		e.orgs[orgName(n-dead+i)] = c
	}
	return e, e.serve(ctx, n)
}

// serve starts the broker, the writer and who reads its outcomes.
func (e *environment) serve(ctx context.Context, n int) error {
	b, err := broker.Start(broker.Config{Partitions: partitions})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, func() error { b.Close(); return nil })
	if e.kafka, err = kafka.New(kafka.DefaultConfig(b.Addr()...), kafka.Deps{}); err != nil {
		return err
	}
	e.closers = append(e.closers, func() error { e.kafka.Close(); return nil })
	for _, name := range []string{topic.Writes, topic.Parked, topic.Outcomes, topic.Changes, topic.DeadLetters, topic.Ledger} {
		spec := kafka.TopicSpec{Name: name, Partitions: partitions, ReplicationFactor: 1, Compacted: name == topic.Ledger}
		if err := e.kafka.EnsureTopics(ctx, spec); err != nil {
			return err
		}
	}
	inst, err := seal.NewInstallation()
	if err != nil {
		return err
	}
	if e.view, err = view(inst, n, e.cfg.Parallelism); err != nil {
		return err
	}
	writing := writer.DefaultConfig()
	// What dead orgs still hold at the end is of no interest.
	writing.DrainTimeout = time.Second
	if e.cfg.collectionsOnly {
		writing.Lanes.BulkFrom = 0
	}
	w, err := writer.New(writing, writer.Deps{ //nolint:contextcheck // New starts nothing; Run gets the context
		Broker: e.kafka, Settings: settings.Static(e.view), Orgs: e.orgs, DeadLetter: deadletter.Encode(inst),
	})
	if err != nil {
		return err
	}
	cfg := stage.DefaultConfig("bench-outcomes", topic.Outcomes)
	cfg.DeadLetterTopic = topic.DeadLetters
	reader, err := stage.NewPipeline(cfg, stage.Deps{Broker: e.kafka},
		func(stage.Partition, *stage.Table) (stage.Processor, error) { return e.outcomes, nil })
	if err != nil {
		return err
	}
	e.background(ctx, reader.Run)
	e.background(ctx, w.Run)
	return nil
}

// background runs a part until the environment closes.
func (e *environment) background(ctx context.Context, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	e.closers = append(e.closers, func() error {
		cancel()
		return <-done
	})
}

func (e *environment) close() error {
	var errs []error
	for _, c := range slices.Backward(e.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// view has one workspace with n connections.
func view(inst *seal.Installation, n, parallelism int) (*settings.View, error) {
	keys, err := inst.NewKeys(workspace)
	if err != nil {
		return nil, err
	}
	ws := &configv1.WorkspaceSnapshot{
		Workspace: &configv1.Workspace{Id: workspace, Name: workspace, Version: 1}, SealedKeys: keys,
	}
	for i := range n {
		ws.Connections = append(ws.Connections, &configv1.Connection{
			Workspace: workspace, Id: orgName(i), Name: orgName(i), Version: 1, LoginUrl: "https://login.salesforce.com",
			ApiVersion: salesforce.DefaultAPIVersion, Parallelism: int32(parallelism), QuotaPercent: 50, //nolint:gosec // 20 at most
			Org: &configv1.Org{Id: fmt.Sprintf("00D%012dEAA", i+1), Name: orgName(i), TimeZone: "Asia/Tokyo"},
		})
	}
	return settings.NewView(&configv1.Snapshot{Revision: 1, Workspaces: []*configv1.WorkspaceSnapshot{ws}}, inst)
}

// messages makes n writes from the first org on.
func (e *environment) messages(n, orgs int) ([]stage.Message, error) {
	return e.messagesFrom(0, n, orgs)
}

// messagesFrom makes the next n writes, to the orgs in turn; each is a new row of the package's object.
func (e *environment) messagesFrom(first, n, orgs int) ([]stage.Message, error) {
	ws, _ := e.view.Workspace(workspace)
	out := make([]stage.Message, n)
	for i := range out {
		e.sent++
		plain, err := proto.Marshal(&streamv1.FieldValues{Fields: []*streamv1.FieldValue{
			{Field: "Title__c", Value: &streamv1.FieldValue_Text{Text: "How engagement reaches your CRM"}},
			{Field: "View_Count__c", Value: &streamv1.FieldValue_Number{Number: float64(e.sent)}},
		}})
		if err != nil {
			return nil, err
		}
		sealed, err := ws.Keys().Seal(plain)
		if err != nil {
			return nil, err
		}
		key, org := "row"+strconv.Itoa(e.sent), orgName((first+i)%orgs)
		w := &streamv1.Write{
			WriteKey: key, Workspace: workspace, Connection: org, Revision: 1, Object: "Engagement__c",
			Operation: streamv1.Operation_OPERATION_UPSERT, ExternalIdField: "External_Id__c", ExternalId: key,
			SealedFields: sealed, ContentHash: ws.Keys().Hash(plain), VisitId: "visit", OccurredAt: timestamppb.Now(),
		}
		value, err := proto.Marshal(w)
		if err != nil {
			return nil, err
		}
		out[i] = stage.Message{
			Topic: topic.Writes, Key: topic.ConnectionKey(workspace, org), Value: value, ID: key, Type: topic.TypeWrite, Time: time.Now(),
		}
	}
	return out, nil
}

// await waits until so many writes have reached orgs.
func (e *environment) await(ctx context.Context, written int) error {
	ctx, cancel := context.WithTimeout(ctx, doneWithin)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		n, err := e.outcomes.written()
		if err != nil || n >= written {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records were written: %w", n, written, ctx.Err())
		case <-tick.C:
		}
	}
}
