package rig

import (
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/simulator"
)

// Connection is the id of every customer's connection.
const Connection = "main"

// Seller is the user of every org who owns what the test does not give to somebody else.
const Seller = "005000000000101AAA"

// Customer is a workspace with an org.
type Customer struct {
	// ID of the workspace, and key of its org.
	ID string
	// Org changes the org before it is made.
	Org func(*simulator.Org)
	// Leads and Contacts by address; each belongs to the Seller.
	Leads, Contacts []string
	// Connection and Workspace change the settings before they are saved.
	Workspace  func(*configv1.Workspace)
	Connection func(*configv1.Connection)
	// Recipes that the workspace uses; none: all of them, with the package installed.
	Recipes []string
	// Since is when the integrations come into force; zero: a day ago.
	Since time.Time
	// Unchecked leaves out the check of the connection, for an org that nobody gets into.
	Unchecked bool
}

// Add makes the customer's org and saves the workspace's settings.
func (r *Rig) Add(c Customer) {
	r.T.Helper()
	r.AddOrg(c)
	r.settle(c)
}

// Org is an org that a workspace may be connected to.
type Org struct {
	rig *Rig
	key string
}

// AddOrg makes the customer's org only, for another workspace to be connected to.
func (r *Rig) AddOrg(c Customer) Org {
	r.T.Helper()
	org := simulator.Org{
		Key: c.ID, Name: c.ID, Package: true,
		Apps: []simulator.App{{ClientID: "app-" + c.ID, ClientSecret: r.OrgSecret, RunAs: "api@" + c.ID + ".example"}},
		Users: []simulator.User{
			{Username: "api@" + c.ID + ".example", Email: "api@" + c.ID + ".example"},
			{ID: Seller, Username: "seller@" + c.ID + ".example", LastName: "Seller", Email: "seller@" + c.ID + ".example"},
		},
		Records: []simulator.Rows{people("Lead", c.Leads), people("Contact", c.Contacts)},
	}
	if c.Org != nil {
		c.Org(&org)
	}
	require.NoError(r.T, r.Salesforce.Seed(r.T.Context(), &simulator.Scenario{Orgs: []simulator.Org{org}}))
	return Org{r, c.ID}
}

// Connect connects a workspace to the org, by a connection of that id.
func (o Org) Connect(workspace, id string) *configv1.Connection {
	r := o.rig
	r.T.Helper()
	_, err := r.Config.PutConnection(r.T.Context(), &configv1.PutConnectionRequest{Connection: r.connection(workspace, id, o.key)})
	require.NoError(r.T, err)
	_, err = r.Config.CheckConnection(r.T.Context(), &configv1.CheckConnectionRequest{Workspace: workspace, Connection: id})
	require.NoError(r.T, err)
	got, err := r.Config.GetConnection(r.T.Context(), &configv1.GetConnectionRequest{Workspace: workspace, Connection: id})
	require.NoError(r.T, err)
	return got.GetConnection()
}

func (r *Rig) connection(workspace, id, org string) *configv1.Connection {
	return &configv1.Connection{
		Workspace: workspace, Id: id, Name: id, LoginUrl: r.Salesforce.BaseURL(org), PackageInstalled: true,
		Grant: &configv1.Connection_ClientCredentials{
			ClientCredentials: &configv1.ClientCredentials{ClientId: "app-" + org, ClientSecret: r.OrgSecret},
		},
	}
}

func people(object string, addresses []string) simulator.Rows {
	rows := simulator.Rows{Object: object}
	for _, a := range addresses {
		row := map[string]any{"LastName": "Of " + a, "Email": a, "OwnerId": Seller}
		if object == "Lead" {
			row["Company"] = "Company"
		}
		rows.Rows = append(rows.Rows, row)
	}
	return rows
}

// settle saves the settings of a customer. An explicit close ends a visit at once.
func (r *Rig) settle(c Customer) {
	r.T.Helper()
	ctx := r.T.Context()
	workspace := &configv1.Workspace{
		Id: c.ID, Name: c.ID, Language: "en", Visits: &configv1.VisitSettings{Settle: durationpb.New(0)},
	}
	if c.Workspace != nil {
		c.Workspace(workspace)
	}
	_, err := r.Config.PutWorkspace(ctx, &configv1.PutWorkspaceRequest{Workspace: workspace})
	require.NoError(r.T, err)
	connection := r.connection(c.ID, Connection, c.ID)
	if c.Connection != nil {
		c.Connection(connection)
	}
	_, err = r.Config.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: connection})
	require.NoError(r.T, err)
	if !c.Unchecked {
		_, err = r.Config.CheckConnection(ctx, &configv1.CheckConnectionRequest{Workspace: c.ID, Connection: Connection})
		require.NoError(r.T, err)
	}
	if len(c.Recipes) == 0 {
		c.Recipes = []string{"document-close-task", "document-engagement", "video-engagement"}
	}
	if c.Since.IsZero() {
		c.Since = time.Now().Add(-24 * time.Hour)
	}
	for _, name := range c.Recipes {
		i, err := recipe.Build(name, recipe.Params{Workspace: c.ID, ID: name, Connection: Connection, PackageInstalled: connection.GetPackageInstalled()})
		require.NoError(r.T, err)
		i.EffectiveFrom = timestamppb.New(c.Since)
		r.Put(i)
	}
}

// Put saves an integration, a new one or a new version of the one whose version it names, and returns it as saved.
func (r *Rig) Put(i *configv1.Integration) *configv1.Integration {
	r.T.Helper()
	saved, err := r.Config.PutIntegration(r.T.Context(), &configv1.PutIntegrationRequest{Integration: i})
	require.NoError(r.T, err)
	return saved.GetIntegration()
}
