package reportbench

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/bench/apart"
	"github.com/throughline-dev/throughline/services/ingest/rows"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/sync/reports"
	"github.com/throughline-dev/throughline/services/writer"
)

const (
	workspace  = "acme"
	secretPart = "bench"
)

// environment is ingest, sync and writer between a broker and an org.
type environment struct {
	cfg     Config
	org     *salesforce.Client
	kafka   *kafka.Client
	runs    *runs
	url     string
	closers []func() error
}

// Client implements push.Orgs and writer.Orgs.
func (e *environment) Client(_, _ string) (*salesforce.Client, error) { return e.org, nil }

func open(ctx context.Context, cfg Config) (_ *environment, err error) {
	e := &environment{cfg: cfg, runs: &runs{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	if err := e.simulate(ctx); err != nil {
		return nil, err
	}
	if err := e.connect(ctx); err != nil {
		return nil, err
	}
	return e, e.serve(ctx)
}

// connect starts the broker and makes the topics.
func (e *environment) connect(ctx context.Context) error {
	var addrs []string
	if e.cfg.Program == "" {
		b, err := broker.Start(broker.Config{})
		if err != nil {
			return err
		}
		e.closers = append(e.closers, func() error { b.Close(); return nil })
		addrs = b.Addr()
	} else {
		addr, stop, err := apart.Start(ctx, "broker: ", e.cfg.Program, "bench", "broker")
		if err != nil {
			return err
		}
		e.closers = append(e.closers, stop)
		addrs = []string{addr}
	}
	var err error
	if e.kafka, err = kafka.New(kafka.DefaultConfig(addrs...), kafka.Deps{}); err != nil {
		return err
	}
	e.closers = append(e.closers, func() error { e.kafka.Close(); return nil })
	for _, name := range []string{
		topic.Rows, topic.RowsState, topic.Writes, topic.Parked, topic.Outcomes, topic.DeadLetters, topic.Ledger,
	} {
		spec := kafka.TopicSpec{Name: name, Partitions: 1, ReplicationFactor: 1, Compacted: name == topic.Ledger || name == topic.RowsState}
		if err := e.kafka.EnsureTopics(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

// serve starts the services.
func (e *environment) serve(ctx context.Context) error {
	inst, err := seal.NewInstallation()
	if err != nil {
		return err
	}
	view, err := e.view(inst)
	if err != nil {
		return err
	}
	static := settings.Static(view)
	w, err := writer.New(writer.DefaultConfig(), writer.Deps{ //nolint:contextcheck // New starts nothing; Run gets the context
		Broker: e.kafka, Settings: static, Orgs: e, DeadLetter: deadletter.Encode(inst),
	})
	if err != nil {
		return err
	}
	pushing, err := reports.New(reports.DefaultConfig(), reports.Deps{
		Broker: e.kafka, Publisher: e.kafka, Settings: static, Orgs: e, Runs: e.runs, Behind: e.behind,
	})
	if err != nil {
		return err
	}
	cfg := stage.DefaultConfig("bench-outcomes", topic.Outcomes)
	cfg.DeadLetterTopic = topic.DeadLetters
	reader, err := stage.NewPipeline(cfg, stage.Deps{Broker: e.kafka},
		func(stage.Partition, *stage.Table) (stage.Processor, error) { return e.runs, nil })
	if err != nil {
		return err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g, life := errgroup.WithContext(life)
	for _, run := range []func(context.Context) error{reader.Run, w.Run, pushing.Run} {
		g.Go(func() error { return run(life) })
	}
	e.closers = append(e.closers, func() error { cancel(); return g.Wait() })
	server := httptest.NewServer(rows.NewHandler(rows.DefaultConfig(), rows.Deps{
		Logger: slog.New(slog.DiscardHandler), Clock: stage.SystemClock{}, Publisher: e.kafka, Settings: static,
	}))
	e.closers = append(e.closers, func() error { server.Close(); return nil })
	e.url = server.URL
	return nil
}

func (e *environment) behind(ctx context.Context, _, _ string) (int64, error) {
	lags, err := e.kafka.Lag(ctx, flow.Writes.Group, flow.Writes.Topic)
	if err != nil {
		return 0, err
	}
	return lags[0].Records(), nil
}

func (e *environment) close() error {
	var errs []error
	for _, c := range slices.Backward(e.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

func (e *environment) view(inst *seal.Installation) (*settings.View, error) {
	keys, err := inst.NewKeys(workspace)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(secretPart))
	ws := &configv1.WorkspaceSnapshot{
		Workspace: &configv1.Workspace{Id: workspace, Name: workspace, Version: 1}, SealedKeys: keys,
		Connections: []*configv1.Connection{{
			Workspace: workspace, Id: "main", Name: "main", Version: 1, LoginUrl: "https://login.salesforce.com",
			ApiVersion: salesforce.DefaultAPIVersion, Parallelism: 4, QuotaPercent: 100,
			Org: &configv1.Org{Id: "00D000000000001EAA", Name: "main", TimeZone: "Asia/Tokyo"},
		}},
		ApiKeys: []*configv1.ApiKey{{Workspace: workspace, Id: "source", SecretHash: hash[:]}},
	}
	return settings.NewView(&configv1.Snapshot{Revision: 1, Workspaces: []*configv1.WorkspaceSnapshot{ws}}, inst)
}

// deliver streams the rows in, as a source does; a row that is not written yet takes no memory.
func (e *environment) deliver(ctx context.Context, id string, score float64) error {
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriterSize(out, 64<<10)
		fmt.Fprintln(w, `{"begin":{"columns":["guid","score","level","unmapped"]}}`)
		for i := range e.cfg.Rows {
			fmt.Fprintf(w, "[%q,%g,\"Gold\",%d]\n", guid(i), score+float64(i%1000), i)
		}
		fmt.Fprintf(w, "{\"end\":{\"rows\":%d}}\n", e.cfg.Rows)
		out.CloseWithError(w.Flush())
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/v1/reports/usage/deliveries/"+id, in)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer tl_"+workspace+"_source_"+secretPart)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		var text strings.Builder
		_, _ = io.Copy(&text, io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the delivery was not taken: %s: %s", resp.Status, text.String())
	}
	return nil
}
