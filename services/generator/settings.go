package generator

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/generator/world"
	"github.com/throughline-dev/throughline/services/internal/recipe"
)

// Access is how to get into a workspace's org.
type Access struct {
	// LoginURL is where tokens come from.
	LoginURL string
	// ClientID and ClientSecret are granted by the org.
	ClientID     string
	ClientSecret secret.String
}

// Settings are the settings that the oracle's rules assume, ready to be saved in this order.
type Settings struct {
	Workspaces      []*configv1.Workspace
	Connections     []*configv1.Connection
	Integrations    []*configv1.Integration
	ContentSettings []*configv1.ContentSetting
}

// settingsAge is how long before the stream its integrations came into force.
const settingsAge = 30 * 24 * time.Hour

// NewSettings makes the settings for a world. access tells how to get into the org of a workspace. An explicit close
// ends a visit at once (no settling delay), everything else has its default. The recipes are the document-closed task
// everywhere, and the two engagement rows where the package is installed.
func NewSettings(w *world.World, access func(workspace string) Access) (*Settings, error) {
	s := &Settings{}
	for _, ws := range w.Workspaces {
		s.Workspaces = append(s.Workspaces, &configv1.Workspace{
			Id: ws.ID, Name: ws.Name, Language: ws.Language, HistoryUrl: ws.HistoryURL,
			Visits: &configv1.VisitSettings{Settle: durationpb.New(0)},
		})
		a := access(ws.ID)
		s.Connections = append(s.Connections, &configv1.Connection{
			Workspace: ws.ID, Id: ws.Connection, Name: ws.Org.Name, LoginUrl: a.LoginURL, PackageInstalled: ws.Org.Package,
			Grant: &configv1.Connection_ClientCredentials{
				ClientCredentials: &configv1.ClientCredentials{ClientId: a.ClientID, ClientSecret: a.ClientSecret.Reveal()},
			},
		})
		for _, c := range ws.Contents {
			if !c.Tracked {
				s.ContentSettings = append(s.ContentSettings, &configv1.ContentSetting{Workspace: ws.ID, ContentId: c.ID})
			}
		}
		if err := s.integrate(w, ws); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// integrate adds the integrations of a workspace.
func (s *Settings) integrate(w *world.World, ws *world.Workspace) error {
	names := []string{"document-close-task"}
	if ws.Org.Package {
		names = append(names, "video-engagement", "document-engagement")
	}
	for _, name := range names {
		p := recipe.Params{
			Workspace: ws.ID, ID: name, Connection: ws.Connection, PackageInstalled: ws.Org.Package,
		}
		if name == "document-close-task" {
			p.Assignees = assignees(ws.Assignees)
		}
		integration, err := recipe.Build(name, p)
		if err != nil {
			return fmt.Errorf("generator: workspace %s: %w", ws.ID, err)
		}
		integration.EffectiveFrom = timestamppb.New(w.Now.Add(-settingsAge))
		s.Integrations = append(s.Integrations, integration)
	}
	return nil
}

func assignees(chain []world.Assignee) []configv1.Assignee {
	out := make([]configv1.Assignee, 0, len(chain))
	for _, link := range chain {
		if link == world.ContentOwner {
			out = append(out, configv1.Assignee_ASSIGNEE_CONTENT_OWNER)
		} else {
			out = append(out, configv1.Assignee_ASSIGNEE_RECORD_OWNER)
		}
	}
	return out
}
