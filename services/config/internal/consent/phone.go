package consent

import (
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// phoneProduct is the source whose account has roles and rules of its own.
const phoneProduct = "zoom"

// phone takes what was entered of the phone account, or else what is stored.
func (a *attempt) phone(want, was *configv1.ConnectSettings) error {
	account := want.GetPhone()
	if account == nil {
		account = was.GetPhone()
	}
	a.PhoneRole, a.Dialling = account.GetRole(), account.GetThirdPartyDialling()
	a.AnyAddress = want.GetAnyAddress() || want == nil && was.GetAnyAddress()
	if err := CheckPhone(a.settings()); err != nil {
		return err
	}
	if a.Email == "" && ComparesAddress(a.settings()) {
		return &FieldError{
			"options.expected_email", "enter the address of the phone account's administrator, which the Salesforce user must have, or set settings.any_address",
		}
	}
	return nil
}

// CheckPhone refuses to connect an org for a phone account that could not use it. It is for when a connection is begun: who
// loses the role later leaves a connection that goes on (ZOOM-1). The error is a *Failure; nothing is demanded of other
// sources.
func CheckPhone(s *configv1.ConnectSettings) error {
	if s.GetSource() != phoneProduct {
		return nil
	}
	switch s.GetPhone().GetRole() {
	case configv1.PhoneRole_PHONE_ROLE_OWNER, configv1.PhoneRole_PHONE_ROLE_ADMIN:
	default:
		return failure(CodePhoneRole, "it takes the role owner or administrator in the phone account to connect it; say which one you have in settings.phone.role")
	}
	if !s.GetPhone().GetThirdPartyDialling() {
		return failure(CodeDialling,
			"allow calls started from third-party applications in the phone account, then confirm it in settings.phone.third_party_dialling")
	}
	return nil
}

// ComparesAddress reports whether only a login can show that the Salesforce user has the address of the phone account's
// administrator (ZOOM-3).
func ComparesAddress(s *configv1.ConnectSettings) bool {
	return s.GetSource() == phoneProduct && !s.GetAnyAddress()
}
