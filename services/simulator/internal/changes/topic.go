package changes

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// AllTopic has the events of all objects.
const AllTopic = "/data/ChangeEvents"

const topicPrefix = "/data/"

// captured reports whether changes of an object give events. Of the setup objects only users do.
func captured(o *schema.Object) bool {
	return (!o.Setup || o.Name == "User") && o.Name != "CampaignMemberStatus"
}

// eventName is what an object's events are called: LeadChangeEvent, Engagement__ChangeEvent.
func eventName(o *schema.Object) string {
	if base, custom := strings.CutSuffix(o.Name, "__c"); custom {
		return base + "__ChangeEvent"
	}
	return o.Name + "ChangeEvent"
}

// Topic is what can be subscribed to.
type Topic struct {
	Name string
	// Object is nil for AllTopic. SchemaID is empty for it, too: its events have different schemas.
	Object   *schema.Object
	SchemaID string
}

// Topic finds a topic by name, with regard to case.
func (l *Log) Topic(name string) (Topic, bool) {
	if name == AllTopic {
		return Topic{Name: name}, true
	}
	event, ok := strings.CutPrefix(name, topicPrefix)
	if !ok {
		return Topic{}, false
	}
	k, ok := l.byEvent[event]
	if !ok {
		return Topic{}, false
	}
	return Topic{Name: name, Object: k.object, SchemaID: k.schemaID}, true
}

// Schema returns the JSON of an Avro schema, also of one that kept events have and the org's objects no longer.
func (l *Log) Schema(id string) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, ok := l.schemas[id]
	return text, ok
}
