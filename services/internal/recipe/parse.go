package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Parse reads what a person writes to use a recipe: a JSON object with the recipe's name under "recipe" and the
// parameters in snake case, e.g.
//
//	{"recipe": "document-close-task", "workspace": "acme", "id": "follow-up", "connection": "main",
//	 "assignees": ["content_owner", "record_owner"]}
//
// An unknown key or assignee is an error. It does not validate the parameters; Build does.
func Parse(raw []byte) (name string, p Params, err error) {
	var request struct {
		Recipe string `json:"recipe"`
		Params
		Assignees []string `json:"assignees"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		return "", Params{}, fmt.Errorf("recipe parameters: %w", err)
	}
	for _, link := range request.Assignees {
		assignee, ok := configv1.Assignee_value["ASSIGNEE_"+strings.ToUpper(link)]
		if !ok || assignee == 0 {
			return "", Params{}, fmt.Errorf("recipe parameters: assignees: %q is not content_owner, record_owner, account_owner or fixed_user", link)
		}
		request.Params.Assignees = append(request.Params.Assignees, configv1.Assignee(assignee))
	}
	return request.Recipe, request.Params, nil
}
