package simulator_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

func setupPersons(t *testing.T) *bundle {
	t.Helper()
	sc, err := simulator.ParseScenario([]byte(`
orgs:
  - key: acme
    person_accounts: true
    apps: [{client_id: app, client_secret: secret, run_as: int@acme.example}]
    users: [{username: int@acme.example}, {username: hanako@acme.example}]
    records:
      Account: [{Name: Toyo}, {LastName: Suzuki, FirstName: Jiro, PersonEmail: jiro@toyo.example, OwnerId: "@hanako@acme.example"}]
      Contact: [{LastName: Roe, Email: roe@toyo.example}]
`))
	require.NoError(t, err)
	return setupWith(t, sc)
}

func TestAPersonAccountIsAPair(t *testing.T) {
	t.Parallel()
	b := setupPersons(t)
	account, contact := b.id("Account", "PersonEmail = 'jiro@toyo.example'"), b.id("Contact", "Email = 'jiro@toyo.example'")
	row := b.query("SELECT Name, IsPersonAccount, PersonContactId, PersonContact.Email, RecordType.IsPersonType FROM Account WHERE IsPersonAccount = true")[0]
	require.Equal(t, "Jiro Suzuki", row["Name"])
	require.Equal(t, contact, row["PersonContactId"])
	require.Equal(t, true, row["RecordType"].(map[string]any)["IsPersonType"])
	row = b.query("SELECT Name, IsPersonAccount, AccountId, Owner.Username FROM Contact WHERE Account.IsPersonAccount = true")[0]
	require.Equal(t, account, row["AccountId"])
	require.Equal(t, "hanako@acme.example", row["Owner"].(map[string]any)["Username"])
	require.Len(t, b.query("SELECT Id FROM Contact WHERE IsPersonAccount = false"), 1, "an org is mixed")

	status, body := b.call(http.MethodPatch, "/sobjects/Contact/"+contact, `{"Email":"new@toyo.example","FirstName":"Taro"}`)
	require.Equal(t, http.StatusNoContent, status, body)
	row = b.query("SELECT Name, PersonEmail FROM Account WHERE Id = '" + account + "'")[0]
	require.Equal(t, "Taro Suzuki", row["Name"])
	require.Equal(t, "new@toyo.example", row["PersonEmail"])
	status, body = b.call(http.MethodPatch, "/composite/sobjects",
		`{"records":[{"attributes":{"type":"Account"},"id":"`+account+`","LastName":"Sato","PersonMobilePhone":"1"}]}`)
	require.Equal(t, http.StatusOK, status, body)
	row = b.query("SELECT Name, MobilePhone FROM Contact WHERE Id = '" + contact + "'")[0]
	require.Equal(t, "Taro Sato", row["Name"])
	require.Equal(t, "1", row["MobilePhone"])

	status, body = b.call(http.MethodPost, "/sobjects/Task", `{"Subject":"S","WhoId":"`+contact+`"}`)
	require.Equal(t, http.StatusCreated, status, body)
	require.Equal(t, account, b.query("SELECT AccountId FROM Task")[0]["AccountId"])

	status, _ = b.call(http.MethodDelete, "/sobjects/Contact/"+contact, "")
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = b.call(http.MethodDelete, "/sobjects/Account/"+account, "")
	require.Equal(t, http.StatusNoContent, status)
	require.Empty(t, b.query("SELECT Id FROM Contact WHERE IsPersonAccount = true"), "the pair goes together")
}

func TestWhatAPersonAccountRefuses(t *testing.T) {
	t.Parallel()
	b := setupPersons(t)
	person, business := b.id("Account", "IsPersonAccount = true"), b.id("Account", "IsPersonAccount = false")
	contact := b.id("Contact", "IsPersonAccount = true")
	for _, c := range []struct{ name, method, path, body, want string }{
		{"contact of a person", "POST", "/sobjects/Contact", `{"LastName":"L","AccountId":"` + person + `"}`, "FIELD_INTEGRITY_EXCEPTION"},
		{"contact moved away", "PATCH", "/sobjects/Contact/" + contact, `{"AccountId":"` + business + `"}`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
		{"made through the contact", "POST", "/sobjects/Contact", `{"LastName":"L","IsPersonAccount":true}`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
		{"name of a person", "PATCH", "/sobjects/Account/" + person, `{"Name":"N"}`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
		{"person field of a business", "PATCH", "/sobjects/Account/" + business, `{"PersonEmail":"a@b.example"}`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
		{"neither name", "POST", "/sobjects/Account", `{"Phone":"1"}`, "REQUIRED_FIELD_MISSING"},
		{"no last name", "PATCH", "/sobjects/Account/" + person, `{"LastName":null}`, "REQUIRED_FIELD_MISSING"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := b.call(c.method, c.path, c.body)
			require.Equal(t, http.StatusBadRequest, status)
			require.Contains(t, body, c.want)
		})
	}
}

func TestDescribeTellsWhetherThereArePersonAccounts(t *testing.T) {
	t.Parallel()
	type described struct {
		RecordTypeInfos []struct{ DeveloperName, RecordTypeID string }
	}
	b := setupPersons(t)
	_, body := b.call(http.MethodGet, "/sobjects/Account/describe", "")
	require.Contains(t, body, `"name":"IsPersonAccount"`)
	var d described
	require.NoError(t, json.Unmarshal([]byte(body), &d))
	require.Len(t, d.RecordTypeInfos, 3)
	require.Equal(t, "PersonAccount", d.RecordTypeInfos[1].DeveloperName)
	status, body := b.call(http.MethodPost, "/sobjects/Account", `{"LastName":"L","RecordTypeId":"`+d.RecordTypeInfos[1].RecordTypeID[:15]+`"}`)
	require.Equal(t, http.StatusCreated, status, body)
	require.Len(t, b.query("SELECT Id FROM Contact WHERE IsPersonAccount = true"), 2)

	_, body = setup(t).call(http.MethodGet, "/sobjects/Account/describe", "")
	require.NotContains(t, body, "IsPersonAccount")
}
