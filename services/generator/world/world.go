package world

import "time"

// World is everything there is before anybody looks at anything.
type World struct {
	// Seed made it; the same seed, moment and configuration make the same world, byte for byte.
	Seed uint64
	// Now is the moment the world stands at. All dates in it are earlier.
	Now        time.Time
	Workspaces []*Workspace
}

// Workspace returns the workspace with the id, or nil.
func (w *World) Workspace(id string) *Workspace {
	for _, ws := range w.Workspaces {
		if ws.ID == id {
			return ws
		}
	}
	return nil
}

// Workspace is one tenant with its one connection.
type Workspace struct {
	ID   string
	Name string
	// Language of generated texts: ja or en.
	Language string
	// Connection is the id of its connection to Org.
	Connection string
	// HistoryURL is where the platform shows a person's viewing history.
	HistoryURL string
	// Assignees is the chain that decides who owns a to-do, first usable wins.
	Assignees []Assignee
	// Weight is its share of the traffic, relative to the other workspaces.
	Weight   float64
	Org      Org
	Contents []*Content
	Viewers  []*Viewer
}

// Assignee is one link of the chain that decides who owns a to-do.
type Assignee string

// The links of a chain.
const (
	// ContentOwner is the active user with the content owner's address.
	ContentOwner Assignee = "content_owner"
	// RecordOwner is the owner of the Lead or Contact.
	RecordOwner Assignee = "record_owner"
)

// Org is a Salesforce org.
type Org struct {
	// ID is its 18-character organisation id.
	ID   string
	Name string
	// TimeZone is its default zone, an IANA name.
	TimeZone string
	// Package: Throughline's objects and fields are installed.
	Package bool
	// IntegrationUser is the id of the user that writes; Salesforce makes it the owner where none is given.
	IntegrationUser string
	Users           []User
	Queues          []Queue
	Accounts        []Account
	Leads           []Lead
	Contacts        []Contact
}

// User is a Salesforce user.
type User struct {
	ID        string
	Username  string
	FirstName string
	LastName  string
	Email     string
	Active    bool
	// Language is the LanguageLocaleKey, e.g. en_US.
	Language    string
	LastLoginAt time.Time
}

// Queue is a group that may own leads.
type Queue struct {
	ID   string
	Name string
}

// Account is a company.
type Account struct {
	ID   string
	Name string
}

// Lead is a person who has not bought yet.
type Lead struct {
	ID         string
	FirstName  string
	LastName   string
	Company    string
	Email      string
	OwnerID    string
	CreatedAt  time.Time
	ModifiedAt time.Time
	Converted  bool
	// ConvertedContactID is the contact a converted lead became; empty when that contact is gone.
	ConvertedContactID string
}

// Contact is a person at an account.
type Contact struct {
	ID         string
	FirstName  string
	LastName   string
	Email      string
	OwnerID    string
	AccountID  string
	CreatedAt  time.Time
	ModifiedAt time.Time
}

// Kind tells a video from a document.
type Kind string

// The kinds of content.
const (
	Video    Kind = "video"
	Document Kind = "document"
)

// Content is a video or document. Its description never changes within one world, so that "as the newest activity
// described it" has one answer.
type Content struct {
	ID    string
	Kind  Kind
	Title string
	URL   string
	// LengthSeconds of a video; 0: the platform does not know it.
	LengthSeconds float64
	// Pages of a document.
	Pages       int
	OwnerEmail  string
	OwnerName   string
	PublishedAt time.Time
	// CallToAction is the label of the button shown in a video; empty: none.
	CallToAction string
	// Tracked is the workspace's present setting for it.
	Tracked bool
	// Snapshot is the switch as events carry it; nil: events say nothing and the setting decides.
	Snapshot *bool
}

// Tracks reports whether a view of the content counts: the switch at view time if the event carries it, else the
// setting.
func (c *Content) Tracks() bool {
	if c.Snapshot != nil {
		return *c.Snapshot
	}
	return c.Tracked
}

// Viewer is a person with an address.
type Viewer struct {
	// Email is the address as the person would write it on a card.
	Email string
	Name  string
	// Spellings are the ways in which producers send the address, Email first: other case, stray spaces, the domain
	// in its international or ASCII form.
	Spellings []string
	// Category is the case the viewer stands for in Salesforce.
	Category Category
}

// Category is what Salesforce knows of a viewer.
type Category string

// The categories, with the share of viewers in each; the shares are listed in docs/generator.md.
const (
	OneLead            Category = "one lead"
	OneContact         Category = "one contact"
	LeadAndContact     Category = "lead and contact"
	SeveralLeads       Category = "several leads"
	SeveralContacts    Category = "several contacts"
	SeveralOfBoth      Category = "several of both"
	EqualModified      Category = "equal modified dates"
	EqualDates         Category = "equal modified and created dates"
	Converted          Category = "converted, contact with the same address"
	ConvertedElsewhere Category = "converted, contact with another address"
	ConvertedGone      Category = "converted, contact gone"
	SharedMailbox      Category = "mailbox shared by more than 200 leads"
	Unknown            Category = "unknown"
)
