package main

import (
	"context"
	"fmt"
	"net"
	"net/smtp"
	"time"
)

// sendMax bounds one SMTP transaction.
const sendMax = 30 * time.Second

// send hands a message to an SMTP server, as a mail program does.
func send(ctx context.Context, addr, from string, to []string, message []byte) error {
	if err := transaction(ctx, addr, from, to, message); err != nil {
		return fmt.Errorf("SMTP: %w", err)
	}
	return nil
}

func transaction(ctx context.Context, addr, from string, to []string, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendMax)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, address := range to {
		if err := c.Rcpt(address); err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}
