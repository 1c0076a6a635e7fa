"""Vultr's object storage as the place for backups: an account that the program makes, and never deletes.

Makes a vultr.ObjectStorage, protected: `pulumi destroy` refuses it and says so. Its bucket is restic's to make, at the
first backup. Leaves alone: what is in it.
"""

from __future__ import annotations

import ediri_vultr as vultr
import pulumi

# New Jersey, the one cluster whose number Vultr's API description tells (`ewr1.vultrobjects.com`, list-object-storage-
# clusters); the others' are known to the API alone. It may be far from the servers: that is no harm to a backup.
CLUSTER = 2
# "Legacy", there too: 6 USD a month, and the API's own default. It takes 400 operations and 300 MiB a second, which is
# more than a server sends; the other tiers cost three times as much and more (18, 36, 50, 100 USD).
TIER = 1


class ObjectStorage(pulumi.ComponentResource):
    """The stack's account, named by the stack."""

    repository: pulumi.Output[str]  # as restic spells it, without a server's own part
    access_key: pulumi.Output[str]
    secret_key: pulumi.Output[str]  # secret

    def __init__(self, label: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:backups:ObjectStorage", label, None, opts)
        account = vultr.ObjectStorage(
            label,
            cluster_id=CLUSTER,
            tier_id=TIER,
            label=label,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=True,
                # Another choice of this program's some day is none about data that are there.
                ignore_changes=["clusterId", "tierId"],
                additional_secret_outputs=["s3AccessKey", "s3SecretKey"],
            ),
        )
        # Names of buckets are one space for all of a cluster's users: the account's id makes it nobody else's.
        self.repository = pulumi.Output.format("s3:https://{0}/apiary-{1}", account.s3_hostname, account.id)
        self.access_key = account.s3_access_key
        self.secret_key = account.s3_secret_key
        self.register_outputs({"repository": self.repository})
