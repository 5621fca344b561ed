package salesforce

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
)

// codeUnsupportedVersion is Salesforce's code for a version that is retired or not known yet.
const codeUnsupportedVersion = "UNSUPPORTED_API_VERSION"

// Version is one version of the API that an org speaks.
type Version struct {
	// Label names the release, e.g. "Summer '26".
	Label string `json:"label"`
	// Version is the number, e.g. "67.0".
	Version string `json:"version"`
}

// Versions lists the versions the org speaks. It costs no call of the org's allocation.
// Source: REST API Developer Guide, "Versions".
func (c *Client) Versions(ctx context.Context) ([]Version, error) {
	r := &call{method: http.MethodGet, path: "/services/data", template: "/services/data", api: "rest"}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var list []Version
	if json.Unmarshal(ans.body, &list) != nil || len(list) == 0 {
		return nil, unparseable(r, ans.status)
	}
	return list, nil
}

// CheckVersion reports whether the org speaks the client's api_version. One that it does not is a ClassConfig error. Ask before a
// connection's first record and once a day: each version lives at least three years, and is announced before it goes. See retired
// for what its end in the middle of work is. Source: REST API Developer Guide, "API End-of-Life Policy".
func (c *Client) CheckVersion(ctx context.Context) error {
	list, err := c.Versions(ctx)
	var e *Error
	switch {
	case errors.As(err, &e) && (e.Status == http.StatusGone || e.Code == codeUnsupportedVersion):
		return unsupportedVersion(e.Status, c.cfg.APIVersion)
	case err != nil:
		return err
	case slices.ContainsFunc(list, func(v Version) bool { return v.Version == c.cfg.APIVersion }):
		return nil
	}
	return unsupportedVersion(0, c.cfg.APIVersion)
}

func unsupportedVersion(status int, version string) error {
	return &Error{
		Class: ClassConfig, Reason: ReasonAPIDisabled, Code: codeUnsupportedVersion, Status: status,
		Detail: "the org does not speak API version " + version + "; set api_version to one that it lists",
	}
}

// retired makes an answer that a version, or a resource, is gone what it is in the middle of work: ClassAuth, for it is the
// connection, not one record, that waits for somebody to change its setting. A record that failed for it would be lost, and one
// retried for it would use up calls; so the writer parks all of them, probes rarely, and goes on by itself once api_version is
// one that the org speaks. Salesforce answers 410 with or without a body. Source: REST API Developer Guide, "API End-of-Life
// Policy" and "Status Codes and Error Responses".
func retired(e *Error) {
	e.Class, e.Reason, e.Split, e.Code = ClassAuth, ReasonAPIDisabled, false, codeUnsupportedVersion
	e.Detail = "the API version is retired; set the connection's api_version to one that the org lists"
}
