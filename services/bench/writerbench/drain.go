package writerbench

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// DrainConfig says what to drain where: a file into an org that somebody else runs, beside other clients that do the same.
type DrainConfig struct {
	// LoginURL is the org's, for the client credentials flow with ClientID and ClientSecret. CAFile, if set, is who is trusted to
	// vouch for it.
	LoginURL     string
	ClientID     string
	ClientSecret secret.String
	CAFile       string
	// Records is a file with one JSON object a line: the fields of a record of Object, of which Key is its external id.
	Records, Object, Key string
	// Parallelism is how many requests may be in flight; CollectionsOnly turns the Bulk API off.
	Parallelism     int
	CollectionsOnly bool
}

// DefaultDrainConfig is what the writer does by itself: 4 requests in flight, and jobs for a backlog.
func DefaultDrainConfig() DrainConfig {
	return DrainConfig{Object: "Engagement__c", Key: "External_Id__c", Parallelism: 4}
}

// Validate names what is missing.
func (c DrainConfig) Validate() error {
	switch {
	case c.LoginURL == "" || c.ClientID == "":
		return errors.New("bench drain: needs --login-url and --client-id")
	case c.Records == "":
		return errors.New("bench drain: needs --records, a file with one JSON object a line")
	case c.Parallelism < 1 || c.Parallelism > 20:
		return errors.New("bench drain: parallelism must be 1 to 20")
	}
	return nil
}

// Drained is what was measured.
type Drained struct {
	Name    string  `json:"name"`
	Records int     `json:"records"`
	Seconds float64 `json:"seconds"`
}

// maxLine bounds one record of the file.
const maxLine = 1 << 20

// Drain puts the file's records into Kafka and waits until the writer service has told of each that it is written. The time is
// from before the first record is produced until the last outcome is read. Any other outcome is an error.
func Drain(ctx context.Context, cfg DrainConfig) (_ Drained, err error) {
	if err := cfg.Validate(); err != nil {
		return Drained{}, err
	}
	e := &environment{cfg: Config{Parallelism: cfg.Parallelism, collectionsOnly: cfg.CollectionsOnly}, orgs: pool{}, outcomes: newOutcomes()}
	defer func() { err = errors.Join(err, e.close()) }()
	if e.orgs[orgName(0)], err = cfg.signIn(ctx); err != nil {
		return Drained{}, err
	}
	if err := e.serve(ctx, 1); err != nil {
		return Drained{}, err
	}
	messages, err := e.read(cfg)
	if err != nil {
		return Drained{}, err
	}
	began := time.Now()
	if err := e.kafka.Publish(ctx, messages...); err != nil {
		return Drained{}, err
	}
	if err := e.await(ctx, len(messages)); err != nil {
		return Drained{}, err
	}
	return Drained{Name: "throughline", Records: len(messages), Seconds: time.Since(began).Seconds()}, nil
}

// signIn returns the org's client.
func (c DrainConfig) signIn(ctx context.Context) (*salesforce.Client, error) {
	transport := salesforce.NewTransport()
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", c.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	t, err := oauth.ClientCredentials(ctx, oauth.Request{
		LoginURL: c.LoginURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret, HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return salesforce.NewClient(salesforce.DefaultConfig(),
		salesforce.StaticToken{AccessToken: t.AccessToken, InstanceURL: t.InstanceURL}, salesforce.Deps{Transport: transport}), nil
}

// read makes a write of every line.
func (e *environment) read(cfg DrainConfig) ([]stage.Message, error) {
	file, err := os.Open(cfg.Records)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return e.writesOf(file, cfg)
}

func (e *environment) writesOf(r io.Reader, cfg DrainConfig) ([]stage.Message, error) {
	var out []stage.Message
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var record map[string]any
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", cfg.Records, len(out)+1, err)
		}
		m, err := e.writeOf(record, cfg)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", cfg.Records, len(out)+1, err)
		}
		out = append(out, m)
	}
	return out, lines.Err()
}

func (e *environment) writeOf(record map[string]any, cfg DrainConfig) (stage.Message, error) {
	key, _ := record[cfg.Key].(string)
	if key == "" {
		return stage.Message{}, fmt.Errorf("the record has no %s", cfg.Key)
	}
	values := &streamv1.FieldValues{}
	for _, name := range slices.Sorted(maps.Keys(record)) {
		f := &streamv1.FieldValue{Field: name}
		switch v := record[name].(type) {
		case string:
			f.Value = &streamv1.FieldValue_Text{Text: v}
		case float64:
			f.Value = &streamv1.FieldValue_Number{Number: v}
		case bool:
			f.Value = &streamv1.FieldValue_Flag{Flag: v}
		case nil:
		default:
			return stage.Message{}, fmt.Errorf("%s is neither text, number, flag nor null", name)
		}
		values.Fields = append(values.Fields, f)
	}
	plain, err := proto.Marshal(values)
	if err != nil {
		return stage.Message{}, err
	}
	ws, _ := e.view.Workspace(workspace)
	sealed, err := ws.Keys().Seal(plain)
	if err != nil {
		return stage.Message{}, err
	}
	value, err := proto.Marshal(&streamv1.Write{
		WriteKey: key, Workspace: workspace, Connection: orgName(0), Revision: 1, Object: cfg.Object,
		Operation: streamv1.Operation_OPERATION_UPSERT, ExternalIdField: cfg.Key, ExternalId: key,
		SealedFields: sealed, ContentHash: ws.Keys().Hash(plain), VisitId: "visit", OccurredAt: timestamppb.Now(),
	})
	return stage.Message{
		Topic: topic.Writes, Key: topic.ConnectionKey(workspace, orgName(0)), Value: value, ID: key, Type: topic.TypeWrite, Time: time.Now(),
	}, err
}
