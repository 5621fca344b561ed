package privacy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// document is what an export holds. It is for machines: names and values are those of the protobuf messages, as JSON.
type document struct {
	Workspace string    `json:"workspace"`
	Export    string    `json:"export"`
	MadeAt    time.Time `json:"madeAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	// Identities are the addresses and names by which the person is known.
	Identities []identity `json:"identities"`
	// Suppressions tell whether and since when the person is kept out.
	Suppressions []suppressed `json:"suppressions"`
	// ErasureProposals tell which records of Salesforce say that the person is to be forgotten.
	ErasureProposals []recordEntry `json:"erasureProposals"`
	// SalesforceRecords were written about the person.
	SalesforceRecords []recordEntry `json:"salesforceRecords"`
	// Activities are single events; Visits, Engagements and Resolved what became of them, each in its newest revision.
	Activities  []json.RawMessage `json:"activities"`
	Visits      []json.RawMessage `json:"visits"`
	Engagements []json.RawMessage `json:"engagements"`
	Resolved    []json.RawMessage `json:"resolved"`
	// Writes are what was sent, or is waiting to be sent, to Salesforce, with the values.
	Writes []json.RawMessage `json:"writes"`
	// Outcomes are the run log's entries.
	Outcomes []json.RawMessage `json:"outcomes"`
	// DeadLetters are what could not be handled, without the original.
	DeadLetters []json.RawMessage `json:"deadLetters"`
	// Notes tell what is not in here, and why.
	Notes []string `json:"notes"`
}

type identity struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

type suppressed struct {
	Since    time.Time  `json:"since"`
	LiftedAt *time.Time `json:"liftedAt,omitempty"`
}

type recordEntry struct {
	Connection string     `json:"connection"`
	Object     string     `json:"object"`
	RecordID   string     `json:"recordId"`
	WrittenAt  time.Time  `json:"writtenAt,omitzero"`
	ProposedAt *time.Time `json:"proposedAt,omitempty"`
}

// export gathers what is held of a person, seals and saves it.
func (w *Worker) export(ctx context.Context, row store.Export) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.ExportTimeout) // promise 7
	defer cancel()
	t, err := loadTenant(ctx, w.deps.Documents, w.deps.Installation, row.Workspace)
	if err != nil {
		return err
	}
	e := &configv1.Export{}
	if err := proto.Unmarshal(row.Body, e); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	g := newGatherer(t, row, w.cfg.ExportBytes)
	g.doc.MadeAt, g.doc.ExpiresAt = w.deps.Clock.Now().UTC(), row.ExpiresAt
	if err := w.gatherStore(ctx, row, g); err != nil {
		return err
	}
	if w.deps.Log == nil {
		g.note("The pipeline's topics could not be read by this process.")
	} else if err := g.topics(ctx, w.deps.Log); err != nil {
		return err
	}
	plain, err := g.finish()
	if err != nil {
		return err
	}
	if row.Sealed, err = t.keys.Seal(plain); err != nil { // promise 8
		return err
	}
	e.Status, e.ReadyAt, e.Size = configv1.ExportStatus_EXPORT_STATUS_READY, timestamppb.New(g.doc.MadeAt), int64(len(plain))
	if row.Body, err = proto.Marshal(e); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return w.deps.Answers.FinishExport(ctx, row)
}

// gatherStore takes in what the config service itself keeps.
func (w *Worker) gatherStore(ctx context.Context, row store.Export, g *gatherer) error {
	all, err := w.deps.Suppressions.Suppressions(ctx, row.Workspace, row.PersonKeys)
	if err != nil {
		return err
	}
	for _, one := range all {
		s := suppressed{Since: one.Since}
		if !one.LiftedAt.IsZero() {
			s.LiftedAt = &one.LiftedAt
		}
		g.doc.Suppressions = append(g.doc.Suppressions, s)
	}
	proposed, err := w.deps.Suppressions.ProposalsAbout(ctx, row.Workspace, row.PersonKeys)
	if err != nil {
		return err
	}
	for _, p := range proposed {
		g.doc.ErasureProposals = append(g.doc.ErasureProposals, recordEntry{
			Connection: p.Connection, Object: p.Object, RecordID: p.RecordID, ProposedAt: &p.ProposedAt,
		})
	}
	return w.eachRow(ctx, rowsOf{workspace: row.Workspace, personKeys: row.PersonKeys}, func(_ []store.OutcomeRow, outcomes []*streamv1.Outcome) error {
		for _, o := range outcomes {
			g.outcome(o)
		}
		return nil
	})
}
