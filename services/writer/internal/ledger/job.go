package ledger

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// jobKey is the state key of the bulk job that a connection has under way. No workspace begins with an exclamation mark.
func jobKey(workspace, connection string) string { return "!job/" + workspace + "/" + connection }

// JobUnderWay builds the entry that must be saved before Salesforce may begin with a bulk job. Whoever comes after a process
// that died learns from it that rows may still be written, and waits (promise 4). A connection has one job at a time.
func JobUnderWay(workspace, connection, id string, now time.Time) (stage.Entry, error) {
	e, err := encode(&streamv1.Write{Workspace: workspace, Connection: connection}, &Entry{
		Version: version, Connection: connection, RecordId: id, IntendedAt: timestamppb.New(now),
	})
	e.Key = jobKey(workspace, connection)
	return e, err
}

// JobOver builds the entry that says that no job is under way any more.
func JobOver(workspace, connection string) stage.Entry {
	return stage.Entry{Key: jobKey(workspace, connection)}
}

// Job returns the id of the job that a connection has under way, or "".
func Job(t Table, workspace, connection string) (string, error) {
	value, ok := t.Get(jobKey(workspace, connection))
	if !ok {
		return "", nil
	}
	e, err := Decode(value)
	if err != nil {
		return "", fmt.Errorf("bulk job of connection %s of workspace %s: %w", connection, workspace, err)
	}
	return e.GetRecordId(), nil
}
