package directory

import (
	"errors"
	"time"

	"github.com/throughline-dev/throughline/services/identity/match"
)

// Party is somebody with an address.
type Party struct {
	// Key is the keyed hash of the address; "" when there is nobody.
	Key string
	// Address opens the sealed address. It is called only when the answer is not known yet.
	Address func() (string, error)
}

// Ask is a question about one viewer and one content owner in one org.
type Ask struct {
	Workspace, Connection string
	Viewer, Owner         Party
	// Fields are wanted in Candidate.Extra, besides what a Candidate has anyway.
	Fields []string
}

// Answer is what an org says.
type Answer struct {
	// Candidates are the Leads and Contacts with the viewer's address, and the Contacts of converted Leads. It must not be
	// changed.
	Candidates []match.Candidate
	// OwnerUsers are the users with the content owner's address. It must not be changed.
	OwnerUsers []match.User
	// RecordOwners are the users who own candidates, by id; queues and users that are not visible are missing.
	RecordOwners map[string]match.User
	// AskedAt is when the candidates were read.
	AskedAt time.Time
	// Err is why there is no answer; everything else is empty then. ErrUnreadable: asking again does not help. Any other:
	// the org is in trouble, ask again later.
	Err error
}

// ErrUnreadable says that an address does not open with the workspace's key.
var ErrUnreadable = errors.New("the sealed address does not open with the workspace's key")

// ErrResting says that the org failed repeatedly and is not asked for a while.
var ErrResting = errors.New("the org failed repeatedly and is given a rest")
