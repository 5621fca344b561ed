// Package changes compares two versions of a setting field by field, for people: the audit log, the history of
// integrations. It tells of secrets and personal data only that they changed.
package changes
