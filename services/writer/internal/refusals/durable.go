package refusals

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
)

// entryVersion is the format of the entries this program writes. It reads any up to it.
const entryVersion = 1

// keyPrefix begins the state keys of paused actions, beside those of writes. No workspace begins with an exclamation mark.
const keyPrefix = "!pause/"

func stateKey(a Action) string {
	return keyPrefix + a.Workspace + "/" + a.Connection + "/" + a.Integration + "/" + strconv.FormatInt(a.Version, 10) + "/" + a.Object
}

// Entry builds the state entry that tells whether an action is paused, for whoever takes the partition over; a deletion when it
// is not. Serialise the calls for one partition, each with its save. A trial is not part of it: it begins anew.
func (r *Registry) Entry(a Action, now time.Time) (stage.Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := stage.Entry{Key: stateKey(a)}
	s := r.actions[a]
	if s == nil || !s.paused {
		return e, nil
	}
	var err error
	e.Value, err = proto.Marshal(&statev1.LedgerEntry{
		Version: entryVersion, Connection: a.Connection, IntendedAt: timestamppb.New(now), // forgotten with other old entries
		Pause: &statev1.ActionPause{
			Integration: a.Integration, IntegrationVersion: a.Version, Object: a.Object, Until: timestamppb.New(s.until),
			Refused: uint32(max(s.why.refused, 0)), Ended: uint32(max(s.why.ended, 0)), Reason: s.reason,
		},
	})
	if err != nil {
		return e, fmt.Errorf("encode the pause of integration %s of workspace %s: %w", a.Integration, a.Workspace, err)
	}
	return e, nil
}

// Ranger is the state of a partition; *stage.Table is one.
type Ranger interface {
	Range(f func(key string, value []byte) bool)
}

// Restore goes on with the pauses that a partition's state tells of, and returns their actions. What cannot be read is a newer
// program's and is left alone: its action has to be refused anew.
func (r *Registry) Restore(t Ranger, now time.Time) []Action {
	found := map[Action]*statev1.ActionPause{}
	t.Range(func(key string, value []byte) bool {
		rest, ok := strings.CutPrefix(key, keyPrefix)
		if !ok {
			return true
		}
		e := new(statev1.LedgerEntry)
		if proto.Unmarshal(value, e) != nil || e.GetVersion() > entryVersion || e.GetPause() == nil {
			return true
		}
		workspace, _, _ := strings.Cut(rest, "/")
		p := e.GetPause()
		found[Action{
			Workspace: workspace, Connection: e.GetConnection(), Integration: p.GetIntegration(),
			Object: p.GetObject(), Version: p.GetIntegrationVersion(),
		}] = p
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	restored := make([]Action, 0, len(found))
	for a, p := range found {
		if r.actions[a] == nil && len(r.actions) >= r.cfg.MaxActions && !r.giveWay(now) {
			continue // promise 7
		}
		if r.actions[a] != nil {
			r.forget(a) // the state knows better
		}
		r.paused.Add(1)
		r.actions[a] = &state{
			heard: now, reason: p.GetReason(), paused: true, until: earlier(p.GetUntil().AsTime(), now.Add(r.cfg.Pause)),
			why: count{ended: int(p.GetEnded()), refused: int(p.GetRefused())},
		}
		restored = append(restored, a)
	}
	return restored
}

// earlier bounds what a clock that was ahead has written.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Leave forgets the actions of a connection: another process goes on with them.
func (r *Registry) Leave(workspace, connection string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a := range r.actions {
		if a.Workspace == workspace && a.Connection == connection {
			r.forget(a)
		}
	}
}
