package ledger

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// jobKey is the state key of the bulk jobs that a connection has under way. No workspace begins with an exclamation mark.
func jobKey(workspace, connection string) string { return "!job/" + workspace + "/" + connection }

// severalJobs is the format of an entry of several jobs. A program that knows of one job only stops before it, and writes nothing
// over what a job writes that it does not know of (promise 4).
const severalJobs = 2

// between separates the ids of several jobs.
const between = ","

// JobsUnderWay builds the entry that must be saved before Salesforce may begin with the newest of these bulk jobs, and when one
// of them has ended; none of them is left when ids is empty. Whoever comes after a process that died learns from it that rows may
// still be written, and waits (promise 4).
func JobsUnderWay(workspace, connection string, ids []string, now time.Time) (stage.Entry, error) {
	if len(ids) == 0 {
		return stage.Entry{Key: jobKey(workspace, connection)}, nil
	}
	format := uint32(version)
	if len(ids) > 1 {
		format = severalJobs
	}
	e, err := encode(&streamv1.Write{Workspace: workspace, Connection: connection}, &Entry{
		Version: format, Connection: connection, RecordId: strings.Join(ids, between), IntendedAt: timestamppb.New(now),
	})
	e.Key = jobKey(workspace, connection)
	return e, err
}

// Jobs returns the ids of the jobs that a connection has under way.
func Jobs(t Table, workspace, connection string) ([]string, error) {
	value, ok := t.Get(jobKey(workspace, connection))
	if !ok {
		return nil, nil
	}
	e, err := decode(value, severalJobs)
	if err != nil {
		return nil, fmt.Errorf("bulk jobs of connection %s of workspace %s: %w", connection, workspace, err)
	}
	return strings.Split(e.GetRecordId(), between), nil
}
