package notices

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// RecipientContext is what a recipient's sealed channel is bound to.
func RecipientContext(workspace, id string) []byte {
	return []byte("throughline/notice-recipient/" + workspace + "/" + id)
}

// Seal returns the sealed form of a recipient's channel, with address and secret.
func Seal(inst *seal.Installation, r *configv1.NoticeRecipient) ([]byte, error) {
	plain, err := proto.Marshal(&configv1.NoticeRecipient{Channel: r.GetChannel()})
	if err != nil {
		return nil, fmt.Errorf("seal recipient %s of workspace %s: %w", r.GetId(), r.GetWorkspace(), err)
	}
	return inst.Seal(plain, RecipientContext(r.GetWorkspace(), r.GetId()))
}

// Open returns a recipient with what Seal sealed.
func Open(inst *seal.Installation, doc store.Document) (*configv1.NoticeRecipient, error) {
	plain, err := inst.Open(doc.Sealed, RecipientContext(doc.Workspace, doc.ID))
	if err != nil {
		return nil, fmt.Errorf("the address of recipient %s of workspace %s does not open: enter it again, or restore the key: %w", doc.ID, doc.Workspace, err)
	}
	channel, out := &configv1.NoticeRecipient{}, &configv1.NoticeRecipient{}
	if err := proto.Unmarshal(plain, channel); err != nil {
		return nil, fmt.Errorf("recipient %s of workspace %s: %w", doc.ID, doc.Workspace, err)
	}
	if err := proto.Unmarshal(doc.Body, out); err != nil {
		return nil, fmt.Errorf("recipient %s of workspace %s: %w", doc.ID, doc.Workspace, err)
	}
	out.Channel = channel.GetChannel()
	return out, nil
}

// Hide empties what is write-only. Promise 8.
func Hide(r *configv1.NoticeRecipient) {
	switch c := r.GetChannel().(type) {
	case *configv1.NoticeRecipient_Email:
		c.Email = &configv1.EmailChannel{}
	case *configv1.NoticeRecipient_Slack:
		c.Slack = &configv1.SlackChannel{}
	case *configv1.NoticeRecipient_Webhook:
		c.Webhook = &configv1.WebhookChannel{}
	}
}
