package rates

import (
	"fmt"
	"strings"
)

// Currency is the ISO 4217 code of a currency in capital letters.
type Currency string

// currencies are the codes of ISO 4217 that money is counted in, without metals, funds, bonds and
// codes for testing.
const currencies = " AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL " +
	"BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR " +
	"FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY " +
	"KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU " +
	"MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD " +
	"RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY " +
	"TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG "

// ParseCurrency reads the code of a currency, in any case. Errors wrap ErrCurrency.
func ParseCurrency(text string) (Currency, error) {
	code := strings.ToUpper(text)
	if len(text) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" ||
		!strings.Contains(currencies, " "+code+" ") {
		return "", fmt.Errorf("%w: %q is not an ISO 4217 code such as usd or eur", ErrCurrency, text)
	}
	return Currency(code), nil
}

// fill puts the currency into an address or a path: in capitals for {CUR}, in small letters for
// {cur}.
func (c Currency) fill(text string) string {
	return strings.NewReplacer("{CUR}", string(c), "{cur}", strings.ToLower(string(c))).Replace(text)
}
