package integration

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// apiName is the shape of object and field names in Salesforce, namespaces and custom suffixes included.
var apiName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,79}$`)

func (c *compiler) checkHead(i *configv1.Integration) {
	if i.GetLanguage() != "" {
		if l, ok := parseLanguage(i.GetLanguage()); !ok || string(l) != i.GetLanguage() {
			c.add("language", "%q is not a language of generated texts; use ja or en, or leave it empty", i.GetLanguage())
		}
	}
	switch i.GetTrigger() {
	case configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED, configv1.Trigger_TRIGGER_VISIT_CLOSED,
		configv1.Trigger_TRIGGER_VISIT_OPENED, configv1.Trigger_TRIGGER_REGISTRATION:
	default:
		c.add("trigger", "not a known trigger; use TRIGGER_ENGAGEMENT_CHANGED, TRIGGER_VISIT_CLOSED or TRIGGER_VISIT_OPENED")
	}
	if len(i.GetActions()) == 0 {
		c.add("actions", "an integration without actions does nothing; add one")
	}
}

func (c *compiler) checkAction(path string, a *configv1.Action, trigger configv1.Trigger) {
	if a.GetName() == "" {
		c.add(path+".name", "an action needs a name; it is part of its records' keys")
	}
	if !apiName.MatchString(a.GetObject()) {
		c.add(path+".object", "%q is not the API name of an object", a.GetObject())
	}
	switch a.GetScope() {
	case configv1.Scope_SCOPE_VISIT:
	case configv1.Scope_SCOPE_PERSON:
		c.checkPerson(path, a)
	case configv1.Scope_SCOPE_ENGAGEMENT:
		if trigger == configv1.Trigger_TRIGGER_VISIT_OPENED {
			c.add(path+".scope", "what an opened visit makes stands for that visit; use SCOPE_VISIT")
		}
	default:
		c.add(path+".scope", "say what a record stands for: SCOPE_VISIT, SCOPE_ENGAGEMENT or SCOPE_PERSON")
	}
	c.checkOperation(path, a)
	if a.GetRaiseStatus() && !isMembership(a) {
		c.add(path+".raise_status", "only an action that adds people to a campaign has a member's status to raise")
	}
	c.checkRepeat(path, a, trigger)
}

func (c *compiler) checkRepeat(path string, a *configv1.Action, trigger configv1.Trigger) {
	switch a.GetRepeat() {
	case configv1.Repeat_REPEAT_UNSPECIFIED, configv1.Repeat_REPEAT_EVERY_VISIT:
	case configv1.Repeat_REPEAT_ONCE_PER_DAY, configv1.Repeat_REPEAT_ONCE_EVER:
		if a.GetScope() != configv1.Scope_SCOPE_VISIT || trigger == configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED {
			c.add(path+".repeat", "it limits what the opening or closing of visits makes; "+
				"use SCOPE_VISIT and TRIGGER_VISIT_OPENED or TRIGGER_VISIT_CLOSED")
		}
	default:
		c.add(path+".repeat", "not a known value; use REPEAT_EVERY_VISIT, REPEAT_ONCE_PER_DAY or REPEAT_ONCE_EVER")
	}
}

// checkAssignment checks the chain and the zone (IMM-25, IMM-29).
func (c *compiler) checkAssignment(path string, a *configv1.Assignment) {
	for n, link := range a.GetChain() {
		if _, ok := linkNames[link]; !ok {
			c.add(fmt.Sprintf("%s.chain[%d]", path, n), "not a known assignee; "+
				"use ASSIGNEE_CONTENT_OWNER, ASSIGNEE_RECORD_OWNER, ASSIGNEE_ACCOUNT_OWNER or ASSIGNEE_FIXED_USER")
		}
	}
	named := slices.Contains(a.GetChain(), configv1.Assignee_ASSIGNEE_FIXED_USER)
	switch {
	case named:
		if _, err := salesforce.ID(a.GetFixedUserId(), userPrefix); err != nil {
			c.addErr(path+".fixed_user_id", err)
		}
	case a.GetFixedUserId() != "":
		c.add(path+".fixed_user_id", "the chain does not name ASSIGNEE_FIXED_USER, so nobody would be assigned by it")
	}
	if err := CheckZoneRule(a.GetZoneRule(), a.GetTimeZone()); err != nil {
		c.addErr(path+".zone_rule", err)
	}
}

// checkOperation makes sure that a repeated write can be recognised (promise 5).
func (c *compiler) checkOperation(path string, a *configv1.Action) {
	switch a.GetOperation() {
	case configv1.ActionOperation_ACTION_OPERATION_UPSERT:
		if !apiName.MatchString(a.GetExternalIdField()) {
			c.add(path+".external_id_field", "an upsert needs the API name of an external id field")
		}
		if a.GetMarkerField() != "" {
			c.add(path+".marker_field", "an upsert is recognised by its external id; leave this empty")
		}
	case configv1.ActionOperation_ACTION_OPERATION_INSERT:
		if isMembership(a) {
			c.checkMembership(path, a)
		} else if !apiName.MatchString(a.GetMarkerField()) {
			c.add(path+".marker_field", "an insert needs a text field, e.g. Description, that carries its marker line; "+
				"without one a lost answer could double the record")
		}
		if a.GetExternalIdField() != "" {
			c.add(path+".external_id_field", "with an external id field, use ACTION_OPERATION_UPSERT")
		}
	default:
		c.add(path+".operation", "not a known operation; use ACTION_OPERATION_UPSERT or ACTION_OPERATION_INSERT")
	}
	for n, f := range a.GetFields() {
		if f.GetField() == a.GetExternalIdField() && f.GetField() != "" {
			c.add(fieldPath(path, n)+".field", "%s is the external id; it is set by itself", f.GetField())
		}
	}
}
