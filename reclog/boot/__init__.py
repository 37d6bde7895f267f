"""Have what runs come back at boot: by a systemd user unit, or by a line of the user's crontab."""
