//! Promise L9: charged answers = usage records = settled holds, the books balance, nothing is open.

use super::{TestApp, eventually};
use tollgate_store::ledger::{VerifyOptions, VerifyReport, verify};

/// Proves the books once no hold is open.
pub async fn assert_clean(app: &TestApp) -> VerifyReport {
    let report = eventually("no hold is open", async || {
        let report = verify(&app.services.store, VerifyOptions::default()).await.expect("the proof runs");
        (report.open_holds == 0).then_some(report)
    })
    .await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.usage_records, report.settled_holds, "{report}");
    report
}
