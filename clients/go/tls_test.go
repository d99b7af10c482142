package executionstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	es "github.com/execution-store/execution-store/clients/go"
)

// certificateOf makes a certificate of a name, which signs itself.
func certificateOf(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	signed := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	trust := x509.NewCertPool()
	trust.AddCert(must[*x509.Certificate](t)(x509.ParseCertificate(signed)))
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}, trust
}

func TestTLSConnectsToServersThatAreTrustedAndToNoOthers(t *testing.T) {
	certificate, trust := certificateOf(t, "store.test")
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	scripted := &scriptedServer{address: listener.Addr().String(), answer: failing()}
	scripted.serve(tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	}))
	t.Cleanup(func() { scripted.server.Stop() })
	trusting := es.WithTLS(&tls.Config{RootCAs: trust, ServerName: "store.test", MinVersion: tls.VersionTLS12})
	found := must[bool](t)(open(t, scripted.address, trusting).Store("s").Has(testContext(t), "k"))
	equal(t, found, true)
	for name, options := range map[string][]es.Option{
		"a certificate that nobody vouches for": {es.WithTLS(nil)},
		"a certificate of another name": {
			es.WithTLS(&tls.Config{RootCAs: trust, ServerName: "other.test", MinVersion: tls.VersionTLS12}),
		},
		"no TLS": {},
	} {
		t.Run(name, func(t *testing.T) {
			options := append(options, es.WithRetry(es.NoRetry()), es.WithTimeout(10*time.Second))
			_, err := open(t, scripted.address, options...).Store("s").Has(testContext(t), "k")
			equal(t, errors.Is(err, es.ErrUnavailable), true)
		})
	}
	equal(t, scripted.count(), 1)
}
