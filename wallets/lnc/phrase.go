package lnc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lightninglabs/lightning-node-connect/mailbox"
	"github.com/lightningnetwork/lnd/aezeed"
)

// entropy is what a pairing phrase stands for.
type entropy = [mailbox.NumPassphraseEntropyBytes]byte

// errNoPhrase says that the setting is missing.
var errNoPhrase = errors.New("pairing_phrase is missing: give the 10 words that Lightning Terminal shows for a new session")

// parsePhrase reads a pairing phrase: 10 words of the list that LND's seeds use too. It has no
// checksum, so a word of the list in the wrong place is only found out by the mailbox. Errors
// name the place of a wrong word and never the word. It returns the entropy and the phrase as
// it is written usually.
func parsePhrase(text string) (entropy, string, error) {
	list := strings.Fields(strings.ToLower(text))
	if len(list) == 0 {
		return entropy{}, "", errNoPhrase
	}
	if len(list) != mailbox.NumPassphraseWords {
		return entropy{}, "", fmt.Errorf("pairing_phrase has %d words: it takes the %d that Lightning Terminal shows",
			len(list), mailbox.NumPassphraseWords)
	}
	for i, word := range list {
		// The library takes an unknown word for the first one of its list.
		if _, known := aezeed.ReverseWordMap[word]; !known {
			return entropy{}, "", fmt.Errorf("pairing_phrase: word %d is not in the list of words: look for a slip of the pen", i+1)
		}
	}
	return mailbox.PassphraseMnemonicToEntropy([mailbox.NumPassphraseWords]string(list)), strings.Join(list, " "), nil
}
