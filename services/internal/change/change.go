package change

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Message builds the tl.changes.v1 message of c, whose workspace, connection and type must be set. Its id is a hash of what it
// says. An error means that the caller left something out; trying again does not help.
func Message(c *streamv1.Change) (stage.Message, error) {
	switch {
	case c.GetWorkspace() == "" || c.GetConnection() == "":
		return stage.Message{}, errors.New("change: no workspace or no connection")
	case c.GetChangeType() == streamv1.ChangeType_CHANGE_TYPE_UNSPECIFIED:
		return stage.Message{}, errors.New("change: no type")
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return stage.Message{}, fmt.Errorf("encode a change of connection %s of workspace %s: %w", c.GetConnection(), c.GetWorkspace(), err)
	}
	sum := sha256.Sum256(value)
	return stage.Message{
		Topic: topic.Changes,
		Key:   topic.ConnectionKey(c.GetWorkspace(), c.GetConnection()),
		Value: value,
		ID:    hex.EncodeToString(sum[:16]),
		Type:  topic.TypeChange,
		Time:  c.GetCommittedAt().AsTime(),
	}, nil
}
