package rest

import (
	"encoding/json"
	"net/http"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
)

// The answer to a create that a duplicate rule refused. The key duplicateResut is spelled as Salesforce spells it.
type (
	duplicateAnswer struct {
		Result    duplicateResult `json:"duplicateResut"`
		ErrorCode string          `json:"errorCode"`
		Message   string          `json:"message"`
	}
	duplicateResult struct {
		AllowSave  bool          `json:"allowSave"`
		Rule       string        `json:"duplicateRule"`
		EntityType string        `json:"duplicateRuleEntityType"`
		Message    string        `json:"errorMessage"`
		Results    []matchResult `json:"matchResults"`
	}
	matchResult struct {
		EntityType string        `json:"entityType"`
		Errors     []string      `json:"errors"`
		Engine     string        `json:"matchEngine"`
		Records    []matchRecord `json:"matchRecords"`
		Rule       string        `json:"rule"`
		Size       int           `json:"size"`
		Success    bool          `json:"success"`
	}
	matchRecord struct {
		Information []string        `json:"additionalInformation"`
		Diffs       []string        `json:"fieldDiffs"`
		Confidence  float64         `json:"matchConfidence"`
		Record      referenceRecord `json:"record"`
	}
	referenceRecord struct {
		Attributes map[string]string `json:"attributes"`
		ID         string            `json:"Id"`
	}
)

func duplicates(e *dml.Error, path string) reply {
	d := e.Duplicate
	match := matchResult{
		EntityType: d.Object, Errors: []string{}, Engine: "ExactMatchEngine", Rule: d.Rule, Size: len(d.IDs), Success: true,
	}
	for _, id := range d.IDs {
		match.Records = append(match.Records, matchRecord{
			Information: []string{}, Diffs: []string{}, Confidence: 100,
			Record: referenceRecord{Attributes: map[string]string{"type": d.Object, "url": path + "/sobjects/" + d.Object + "/" + id}, ID: id},
		})
	}
	body, err := json.Marshal([]duplicateAnswer{{
		Result:    duplicateResult{AllowSave: d.AllowSave, Rule: d.Rule, EntityType: d.Object, Message: e.Message, Results: []matchResult{match}},
		ErrorCode: e.Code, Message: e.Message,
	}})
	if err != nil {
		return unexpected()
	}
	return reply{status: http.StatusBadRequest, body: body, records: 1, failed: 1}
}
