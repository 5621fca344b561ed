package directory

import (
	"errors"
	"time"

	"github.com/throughline-dev/throughline/services/identity/match"
)

// Party is somebody with an address; the zero Party is nobody, whom nobody looks for.
type Party struct {
	// Key is the keyed hash of the address; "" when there is nobody.
	Key string
	// Address opens the sealed address. It is called only when the answer is not known yet.
	Address func() (Address, error)
}

// Address is somebody's.
type Address struct {
	// Email is the normalised address; people are told apart by it alone.
	Email string
	// AsSent is how it was sent where its letters' case is another, "" otherwise. An org whose addresses are encrypted
	// deterministically, with regard to case, finds only the form that it holds (ZOOM-4).
	AsSent string
}

// Ask is a question about one viewer and one content owner in one org.
type Ask struct {
	Workspace, Connection string
	// Org tells apart the orgs that a connection was with: what one of them said says nothing about another.
	Org           string
	Viewer, Owner Party
	// Users are the ids, of 18 characters, of users to be found besides.
	Users []string
	// Account asks for the viewer's account, too (IMM-44).
	Account bool
	// Anew asks the org whatever is remembered of the viewer and the owner.
	Anew bool
	// Patient waits for the org as long as Config.Timeout allows, and not only Config.Patience.
	Patient bool
	How
}

// How is in what manner people are looked for. It is the same for everybody who is asked for at once in one org.
type How struct {
	// Fields are wanted in Candidate.Extra, besides what a Candidate has anyway.
	Fields []string
	// LeadEmails and ContactEmails are fields that may hold the address besides Email (IMM-31).
	LeadEmails, ContactEmails []string
	// SandboxSuffix finds users by their address with ".invalid" at its end, too (IMM-27).
	SandboxSuffix bool
	// DomainField is a field of Account that may hold a domain besides Website; "" for none. FreeMail are domains that say
	// nothing about an account, besides the well-known ones.
	DomainField string
	FreeMail    []string
	// Preferences reads the privacy records of candidates, where the org has any (XC-32).
	Preferences bool
}

// Answer is what an org says.
type Answer struct {
	// Candidates are the Leads and Contacts with the viewer's address, and the Contacts of converted Leads. It must not be
	// changed.
	Candidates []match.Candidate
	// OwnerUsers are the users with the content owner's address. It must not be changed.
	OwnerUsers []match.User
	// Accounts may be the viewer's; only when asked for. It must not be changed.
	Accounts []match.Account
	// RecordOwners are the users who own candidates or accounts and those of Ask.Users, by id. Queues are missing; users that do not
	// exist or are not visible have no id. It must not be changed.
	RecordOwners map[string]match.User
	// AskedAt is when the candidates were read.
	AskedAt time.Time
	// Err is why there is no answer; everything else is empty then. ErrUnreadable: asking again does not help. Any other:
	// the org is in trouble, ask again later.
	Err error
}

// ErrUnreadable says that an address does not open with the workspace's key.
var ErrUnreadable = errors.New("the sealed address does not open with the workspace's key")

// ErrSlow says that the org has not answered yet. What it answers is remembered: ask again later.
var ErrSlow = errors.New("the org takes its time to answer")

// ErrResting says that the org failed repeatedly and is not asked for a while.
var ErrResting = errors.New("the org failed repeatedly and is given a rest")
