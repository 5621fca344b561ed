package delivery

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/change"
)

// tellGone appends, for writes that the org refused because a record they name is gone or was converted, that whoever they are
// about is not who identity thinks: the next look-up asks the org (XC-42).
func tellGone(messages []stage.Message, endings []ending, now time.Time) ([]stage.Message, error) {
	for i := range endings {
		e := &endings[i]
		w := e.item.Write
		gone := e.reason == streamv1.Reason_REASON_SF_RECORD_GONE || e.reason == streamv1.Reason_REASON_SF_CONVERTED_LEAD
		if e.status != streamv1.Status_STATUS_FAILED || !gone || w.GetPersonKey() == "" {
			continue
		}
		m, err := change.Message(&streamv1.Change{
			Workspace: w.GetWorkspace(), Connection: w.GetConnection(), ChangeType: streamv1.ChangeType_CHANGE_TYPE_GONE,
			PersonKeys: []string{w.GetPersonKey()}, CommittedAt: timestamppb.New(now),
		})
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}
