package l402

import (
	"encoding/base64"
	"strings"
)

// cutBasic finds a token and its preimage in the credential of the Basic scheme (RFC 7617),
// base64(user:password). The token is the user name with the preimage as password, or stands in
// the password behind any user name. alone says that there is no preimage, ok that there is a token.
func cutBasic(value string) (token, preimage string, alone, ok bool) {
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(value, "-_") {
		encoding = base64.RawURLEncoding
	}
	plain, err := encoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return "", "", false, false
	}
	user, password, _ := strings.Cut(string(plain), ":")
	switch {
	case looksLikeToken(user):
		return user, password, password == "", true
	case looksLikeToken(password):
		token, preimage, found := strings.Cut(password, ":")
		return token, preimage, !found, true
	}
	return "", "", false, false
}
