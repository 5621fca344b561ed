package world

import "fmt"

// salesforceID makes an 18-character record id: a key prefix such as 00Q, an instance part that tells the orgs apart,
// a running number in decimal digits (so that "higher id" means the same under every collation), and the three
// characters that make ids differ without regard to case.
func salesforceID(prefix string, org, number int) string {
	id := fmt.Sprintf("%s5T%c%09d", prefix, rune('A'+org%26), number)
	return id + checksum(id)
}

func checksum(id string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	suffix := make([]byte, 0, 3)
	for chunk := range 3 {
		index := 0
		for bit := range 5 {
			if c := id[chunk*5+bit]; c >= 'A' && c <= 'Z' {
				index |= 1 << bit
			}
		}
		suffix = append(suffix, alphabet[index])
	}
	return string(suffix)
}
