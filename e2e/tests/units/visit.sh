#!/bin/sh
# Inside the booted system: sets a site up as deploy/README.md says, and uses it with stock clients. Prints what the test looks at.
set -eu
# The machine may have a site of its own; this is a copy of it.
rm -rf /etc/gridiron
for account in gridiron alice; do userdel "$account" 2>/dev/null || true; done

cd /srv/programs
install -m 755 gridiron gridiron-launcher /usr/bin/
useradd --system --user-group --no-create-home --shell /usr/sbin/nologin gridiron
useradd --create-home alice
gridiron init --ca --host localhost --user gridiron /etc/gridiron >/dev/null 2>&1
gridiron gridmap add --file /etc/gridiron/grid-mapfile '/O=Grid/CN=Alice' alice
gridiron check --config /etc/gridiron/gridiron.toml | head -n 1
cp /srv/repository/deploy/systemd/gridiron*.s* /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet --now gridiron-launcher.socket gridiron.socket gridiron.service

gridiron cert request --name '/O=Grid/CN=Alice' --out /root/alice --no-passphrase >/dev/null 2>&1
gridiron ca sign --ca /etc/gridiron/ca /root/alice/usercert_request.pem --out /root/alice/usercert.pem >/dev/null 2>&1
export X509_CERT_DIR=/etc/gridiron/certificates GLOBUS_HOSTNAME=localhost
export X509_USER_PROXY=/root/proxy HOME=/root
grid-proxy-init -q -cert /root/alice/usercert.pem -key /root/alice/userkey.pem -out /root/proxy

echo "a job runs as $(globus-job-run localhost:2119 /usr/bin/id -un)"
job=$(globus-job-submit localhost:2119 /bin/sleep 1000)
until [ "$(globus-job-status "$job")" = ACTIVE ]; do sleep 0.1; done
for unit in gridiron-launcher gridiron; do
    systemctl restart $unit.service
    echo "after $unit's restart: job $(globus-job-status "$job"), $(globus-job-run localhost:2119 /bin/echo served)"
done
systemctl reload gridiron.service
echo "after the reload: $(globus-job-run localhost:2119 /bin/echo served)"
systemctl kill --signal=KILL gridiron.service
until systemctl --quiet is-active gridiron.service; do sleep 0.1; done
echo "after its death: job $(globus-job-status "$job"), $(globus-job-run localhost:2119 /bin/echo served)"
echo "gatekeeper's account: $(ps -o user= -p "$(systemctl show --property MainPID --value gridiron.service)")"
globus-job-cancel -force "$job" >/dev/null
systemctl stop gridiron.socket gridiron.service gridiron-launcher.socket gridiron-launcher.service
for unit in gridiron gridiron-launcher; do
    echo "$unit ended with $(systemctl show --property Result --value $unit.service)"
done
