package normalize

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Why a number was refused. None of them quotes the number.
var (
	// ErrPhoneEmpty means that nothing is left after trimming.
	ErrPhoneEmpty = errors.New("number is empty")
	// ErrPhoneRegion means that the number begins without a country code and no country was given.
	ErrPhoneRegion = errors.New("number has no country code: begin it with + and the country code, or say the country")
	// ErrPhoneSyntax means anything else that nobody could call.
	ErrPhoneSyntax = errors.New("number is not one that can be called")
)

// maxPhoneBytes is far more than any spelling of a number takes.
const maxPhoneBytes = 128

// Phone returns the form of a phone number in which numbers are compared: E.164, "+" and at most 15 digits, without an
// extension. Spaces, brackets, hyphens, full-width digits and international prefixes are understood; a number without a country
// code needs the region, two letters of ISO 3166 such as JP. The result never equals that of Email, and is stable: Phone of a
// result is that result. Errors are the sentinels of this package and never quote the input. What a valid number is comes from
// Google's libphonenumber.
func Phone(raw, region string) (string, error) {
	s := strings.TrimSpace(raw)
	if s == "" {
		return "", ErrPhoneEmpty
	}
	if len(s) > maxPhoneBytes {
		return "", ErrPhoneSyntax
	}
	first, err := e164(s, region)
	if errors.Is(err, phonenumbers.ErrInvalidCountryCode) && region == "" && s[0] != '+' && !strings.HasPrefix(s, "\uff0b") {
		return "", ErrPhoneRegion
	}
	if err != nil {
		return "", ErrPhoneSyntax
	}
	// A few numbers that nobody has lose a zero with every reading.
	if again, err := e164(first, ""); err != nil || again != first {
		return "", ErrPhoneSyntax
	}
	return first, nil
}

func e164(s, region string) (string, error) {
	number, err := phonenumbers.Parse(s, strings.ToUpper(region))
	if err != nil {
		return "", err
	}
	if !phonenumbers.IsPossibleNumber(number) {
		return "", ErrPhoneSyntax
	}
	number.Extension = nil
	return phonenumbers.Format(number, phonenumbers.E164), nil
}
