package generator

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/services/generator/world"
)

// The types below are the part of the simulator's scenario format that a world needs; docs/simulator.md is the whole.
type (
	scenario struct {
		Orgs []scenarioOrg `yaml:"orgs"`
	}
	scenarioOrg struct {
		Key      string          `yaml:"key"`
		ID       string          `yaml:"id"`
		Name     string          `yaml:"name"`
		TimeZone string          `yaml:"timezone"`
		Language string          `yaml:"language"`
		Package  bool            `yaml:"package,omitempty"`
		Apps     []scenarioApp   `yaml:"apps"`
		Users    []scenarioUser  `yaml:"users"`
		Queues   []scenarioQueue `yaml:"queues"`
		// Records by object; YAML writes them in alphabetical order, which is also that of their references.
		Records map[string][]map[string]any `yaml:"records"`
	}
	scenarioApp struct {
		Name         string `yaml:"name"`
		ClientID     string `yaml:"client_id"`
		ClientSecret string `yaml:"client_secret"`
		RunAs        string `yaml:"run_as"`
	}
	scenarioUser struct {
		ID        string    `yaml:"id"`
		Username  string    `yaml:"username"`
		FirstName string    `yaml:"first_name,omitempty"`
		LastName  string    `yaml:"last_name"`
		Email     string    `yaml:"email"`
		Inactive  bool      `yaml:"inactive,omitempty"`
		Language  string    `yaml:"language"`
		LastLogin time.Time `yaml:"last_login"`
	}
	scenarioQueue struct {
		ID   string `yaml:"id"`
		Name string `yaml:"name"`
	}
)

// Scenario writes the world's orgs as a scenario of the simulator, in YAML. The key of an org is the id of its
// workspace; access gives the app that the workspace's connection uses, which runs as the integration user.
func Scenario(w *world.World, access func(workspace string) Access) ([]byte, error) {
	var s scenario
	for _, ws := range w.Workspaces {
		a := access(ws.ID)
		s.Orgs = append(s.Orgs, scenarioOrg{
			Key: ws.ID, ID: ws.Org.ID, Name: ws.Org.Name, TimeZone: ws.Org.TimeZone, Language: ws.Language, Package: ws.Org.Package,
			Apps: []scenarioApp{{
				Name: "Throughline", ClientID: a.ClientID, ClientSecret: a.ClientSecret.Reveal(),
				RunAs: username(&ws.Org, ws.Org.IntegrationUser),
			}},
			Users: scenarioUsers(&ws.Org), Queues: scenarioQueues(&ws.Org), Records: records(&ws.Org),
		})
	}
	out, err := yaml.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("generator: scenario: %w", err)
	}
	return out, nil
}

func username(org *world.Org, id string) string {
	for _, u := range org.Users {
		if u.ID == id {
			return u.Username
		}
	}
	return ""
}

func scenarioUsers(org *world.Org) []scenarioUser {
	users := make([]scenarioUser, 0, len(org.Users))
	for _, u := range org.Users {
		users = append(users, scenarioUser{
			ID: u.ID, Username: u.Username, FirstName: u.FirstName, LastName: u.LastName, Email: u.Email,
			Inactive: !u.Active, Language: u.Language, LastLogin: u.LastLoginAt,
		})
	}
	return users
}

func scenarioQueues(org *world.Org) []scenarioQueue {
	queues := make([]scenarioQueue, 0, len(org.Queues))
	for _, q := range org.Queues {
		queues = append(queues, scenarioQueue(q))
	}
	return queues
}

// records are the rows of the org; what is empty is left out.
func records(org *world.Org) map[string][]map[string]any {
	accounts := make([]map[string]any, 0, len(org.Accounts))
	for _, a := range org.Accounts {
		accounts = append(accounts, map[string]any{"id": a.ID, "Name": a.Name})
	}
	contacts := make([]map[string]any, 0, len(org.Contacts))
	for _, c := range org.Contacts {
		contacts = append(contacts, filled(map[string]any{
			"id": c.ID, "FirstName": c.FirstName, "LastName": c.LastName, "Email": c.Email, "OwnerId": c.OwnerID,
			"AccountId": c.AccountID, "CreatedDate": moment(c.CreatedAt), "LastModifiedDate": moment(c.ModifiedAt),
		}))
	}
	leads := make([]map[string]any, 0, len(org.Leads))
	for _, l := range org.Leads {
		row := filled(map[string]any{
			"id": l.ID, "FirstName": l.FirstName, "LastName": l.LastName, "Company": l.Company, "Email": l.Email,
			"OwnerId": l.OwnerID, "CreatedDate": moment(l.CreatedAt), "LastModifiedDate": moment(l.ModifiedAt),
			"ConvertedContactId": l.ConvertedContactID,
		})
		if l.Converted {
			row["IsConverted"] = true
		}
		leads = append(leads, row)
	}
	return map[string][]map[string]any{"Account": accounts, "Contact": contacts, "Lead": leads}
}

func filled(row map[string]any) map[string]any {
	for field, value := range row {
		if value == "" {
			delete(row, field)
		}
	}
	return row
}

// moment writes a time as Salesforce takes it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
